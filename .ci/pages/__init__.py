"""The notebooks as pages for a meeting: readable by a double click, without Jupyter and without the internet."""
