"""What a person touches in a notebook. Each widget's acts can also be done by a method call, without a browser."""
