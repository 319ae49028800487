#!/usr/bin/env bash
# bioimageio.spec 0.5.12.0 holds no description for valid with pydantic 2.14, which pip brings beside it.
# Its serializer of file names reads an index that pydantic passes no longer, so every description with a file is
# called invalid, in words that name neither pydantic nor the description's mistake. 2.13 reads the same file.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/probe.py" <<'EOF'
import json
import sys
from pathlib import Path

import pydantic
from bioimageio.spec import load_description

Path("README.md").write_text("# Validation\n")
fields = {
    "format_version": "0.3.0", "type": "generic", "name": "probe", "description": "a probe",
    "authors": [{"name": "A"}], "cite": [{"text": "t", "url": "https://example.com"}],
    "license": "Apache-2.0", "documentation": "README.md",
}
Path("rdf.yaml").write_text(json.dumps(fields))
found = type(load_description(Path("rdf.yaml"), perform_io_checks=False)).__name__
print("pydantic", pydantic.VERSION, found)
assert found == sys.argv[1]
EOF
cd "$folder"
for pair in 2.13.5:GenericDescr 2.14.3:InvalidDescr; do
  "${PYTHON:-python3}" -m venv --clear venv
  venv/bin/pip install --quiet --disable-pip-version-check bioimageio.spec==0.5.12.0 "pydantic==${pair%:*}"
  venv/bin/python probe.py "${pair#*:}"
done
