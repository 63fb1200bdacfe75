#!/usr/bin/env bash
# PyYAML 6.0.3 (with libyaml 0.2.5 in its wheel): JSON is said to be YAML, but what `json.dumps` writes for an emoji is not.
#
# `json.dumps("🙂")` gives "\ud83d\ude42", two escapes of half a character each. The two safe loaders of one library disagree:
# CSafeLoader refuses it («found invalid Unicode character escape code»), SafeLoader gives a text of two lone surrogates, which
# no file, socket or hash takes (UnicodeEncodeError). Neither gives the emoji. A reader must join the halves itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pyyaml==6.0.3"
cat > "$folder/look.py" <<'PY'
import json
import yaml

source = json.dumps({"says": "Hola \U0001f642"})
print("PyYAML", yaml.__version__, "with libyaml", yaml._yaml.get_version_string(), "reads", source)
try:
    taken = f"takes it: {yaml.load(source, yaml.CSafeLoader)!a}"
except yaml.YAMLError as exc:
    taken = f"{type(exc).__name__}: {exc.problem}"
print("CSafeLoader:", taken)
text = yaml.load(source, yaml.SafeLoader)["says"]
print("SafeLoader: ", ascii(text))
try:
    text.encode()
    written = "can be written"
except UnicodeEncodeError as exc:
    written = f"cannot be written: {exc.reason}"
print("            ", written)
assert taken == "ScannerError: found invalid Unicode character escape code", "CSafeLoader has changed"
assert text == "Hola \ud83d\ude42" != "Hola \U0001f642", "SafeLoader has changed"
assert written == "cannot be written: surrogates not allowed"
PY
"$folder/venv/bin/python" "$folder/look.py"
