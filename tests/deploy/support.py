"""What the tests of deploy/ share. A test that lacks a tool says so and ends with status 77, which ctest
reports as skipped."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError:
    print("SKIPPED: python3-yaml is missing; scripts/setup test installs it")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "build" / "deploy-schemas" / "node_modules"


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def need(*programs):
    """Ends the whole test as skipped when a program is not there."""
    for program in programs:
        if shutil.which(program) is None:
            skip(f"{program} is missing")


def run(*command, **options):
    """Standard output; a failure tells standard error."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=ROOT, check=False, **options
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def oavc():
    """The program under test: ctest names it."""
    program = os.environ.get("OAVC_BINARY", "")
    if not program:
        skip("OAVC_BINARY does not name the program; run this by ctest")
    return program


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def schema_problems(objects):
    """(problems, kinds without a schema); see schemas/validate.mjs."""
    if not SCHEMAS.is_dir():
        skip("the schemas are missing; scripts/setup test fetches them where there is npm")
    answer = json.loads(
        run("node", ROOT / "tests/deploy/schemas/validate.mjs", SCHEMAS, input=json.dumps(objects, default=str))
    )
    return answer["problems"], answer["no_schema"]


def main():
    unittest.main(verbosity=0)
