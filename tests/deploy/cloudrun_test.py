"""deploy/cloudrun: the service is what its schema says, fits the configuration that it runs, and each step
of a release does to a stand-in for gcloud what it says."""
import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

import yaml
from support import ROOT, documents, main, need, schema_problems

need("node")

FOLDER = ROOT / "deploy/cloudrun"
INI = (ROOT / "config/cloudrun.ini").read_text()

# cloud.google.com/build/docs/build-config-file-schema
BUILD_KEYS = {"steps", "timeout", "queueTtl", "logsBucket", "options", "substitutions", "tags", "serviceAccount", "secrets", "availableSecrets", "artifacts", "images"}
STEP_KEYS = {"name", "args", "env", "allowFailure", "allowExitCodes", "dir", "id", "waitFor", "entrypoint", "secretEnv", "volumes", "timeout", "script", "automapSubstitutions"}
BUILT_IN = {"PROJECT_ID", "SHORT_SHA", "BUILD_ID", "COMMIT_SHA", "BRANCH_NAME", "LOCATION"}


@functools.cache
def service():
    [one] = documents((FOLDER / "service.yaml").read_text())
    return one


class Service(unittest.TestCase):
    def test_is_what_its_schema_says(self):
        self.assertEqual(schema_problems([service()]), ([], []))

    def test_fits_its_configuration(self):
        spec = service()["spec"]["template"]["spec"]
        max_calls = int(re.search(r"^max_calls = (\d+)$", INI, re.M).group(1))
        longest = int(re.search(r"^max_call_duration = (\d+)min$", INI, re.M).group(1))
        self.assertGreater(spec["containerConcurrency"], max_calls)
        self.assertEqual(spec["timeoutSeconds"], 3600, "the platform's limit")
        self.assertLess(60 * longest, spec["timeoutSeconds"])
        environment = {e["name"]: e for e in spec["containers"][0]["env"]}
        self.assertEqual(environment["OAVC_CONFIG_FILE"]["value"], "/etc/oavc/cloudrun.ini")
        # Whatever the file takes from the environment without a default is given to it.
        for name in re.findall(r"^[a-z_]+ = \$\{([A-Z_]+)\}$", INI, re.M):
            self.assertIn(name, environment)
        for name in ("TWILIO_AUTH_TOKEN", "OAVC_API_TOKEN"):
            self.assertIn("secretKeyRef", environment[name]["valueFrom"])

    def test_is_warm_scales_by_requests_and_starts_within_five_seconds(self):
        annotations = service()["spec"]["template"]["metadata"]["annotations"]
        self.assertGreaterEqual(int(annotations["autoscaling.knative.dev/minScale"]), 1)
        self.assertGreater(int(annotations["autoscaling.knative.dev/maxScale"]), 1)
        self.assertEqual(annotations["run.googleapis.com/cpu-throttling"], "false")
        probe = service()["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
        self.assertLessEqual(probe["periodSeconds"] * probe["failureThreshold"], 5)

    def test_is_for_twilio_only(self):
        self.assertRegex(INI, r"(?m)^\[telephony\]\nprovider = twilio$")
        ports = service()["spec"]["template"]["spec"]["containers"][0]["ports"]
        self.assertEqual(ports, [{"name": "http1", "containerPort": 8080}])


class Builds(unittest.TestCase):
    def builds(self):
        for file in ("cloudbuild.yaml", "rollback.yaml"):
            yield file, yaml.safe_load((FOLDER / file).read_text())

    def test_have_known_keys_only(self):
        for file, build in self.builds():
            self.assertLessEqual(set(build), BUILD_KEYS, file)
            for step in build["steps"]:
                self.assertLessEqual(set(step), STEP_KEYS, file)
                self.assertIn("name", step)

    def test_substitute_what_is_defined(self):
        for file, build in self.builds():
            text = (FOLDER / file).read_text().replace("$$", "")
            text = "\n".join(l for l in text.splitlines() if not l.lstrip().startswith("#"))
            for name in re.findall(r"\$\{?(\w+)", text):
                self.assertIn(name, set(build["substitutions"]) | BUILT_IN, file)
            for name in build["substitutions"]:
                self.assertRegex(text, rf"\${name}\b", f"{file}: {name} is not used")

    def test_go_through_every_stage_in_order(self):
        [(_, build), _] = self.builds()
        self.assertEqual([s["id"] for s in build["steps"]], ["test", "build", "try", "scan", "push", "deploy", "canary"])

    def test_are_shell_that_parses(self):
        for _, build in self.builds():
            for step in build["steps"]:
                if step.get("entrypoint") == "bash":
                    script = step["args"][1].replace("$$", "$")
                    subprocess.run(["bash", "-n", "-c", script], check=True)


GCLOUD = '''#!/usr/bin/env python3
"""Stands in for gcloud: one Cloud Run service, kept in a file."""
import json, os, pathlib, re, sys

file = pathlib.Path(os.environ["STATE"])
state = json.loads(file.read_text()) if file.exists() else None
words = [w for w in sys.argv[1:] if not w.startswith("--")]
options = dict(w.split("=", 1) for w in sys.argv[1:] if "=" in w)
assert options["--project"] == "p", sys.argv

if words[:3] == ["run", "services", "list"]:
    print("other" + ("\\noavc" if state else ""))
elif words[:3] == ["run", "services", "describe"]:
    print(json.dumps(state))
elif words[:3] == ["run", "services", "replace"]:
    import yaml
    new = yaml.safe_load(sys.stdin)
    revision = new["spec"]["template"]["metadata"]["name"]
    there = (state or {}).get("revisions", {})
    if revision in there:
        sys.exit(f"revision {revision} exists")
    there[revision] = {
        "image": new["spec"]["template"]["spec"]["containers"][0]["image"],
        "url": next(e["value"] for e in new["spec"]["template"]["spec"]["containers"][0]["env"] if e["name"] == "PUBLIC_URL"),
    }
    for target in new["spec"]["traffic"]:
        assert target["revisionName"] in there, target
        target["url"] = os.environ["ADDRESS"]
    assert sum(t["percent"] for t in new["spec"]["traffic"]) == 100
    file.write_text(json.dumps({"status": {"url": "https://oavc.example", "traffic": new["spec"]["traffic"]}, "revisions": there}))
elif words[:3] == ["run", "services", "update-traffic"]:
    shares = dict(part.split("=") for part in options["--to-revisions"].split(","))
    assert sum(map(int, shares.values())) == 100
    for target in state["status"]["traffic"]:
        target["percent"] = int(shares.get(target["revisionName"], 0))
    file.write_text(json.dumps(state))
elif words[:2] == ["logging", "read"]:
    print(os.environ.get("ERRORS", ""))
else:
    sys.exit(f"unknown: {sys.argv}")
'''


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" and self.server.well else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


class Releases(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name)
        (path / "gcloud").write_text(GCLOUD)
        (path / "gcloud").chmod(0o755)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
        self.server.well = True
        threading.Thread(target=self.server.serve_forever).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.state = path / "state"
        self.environment = {
            **os.environ,
            "PATH": f"{path}:{os.environ['PATH']}",
            "STATE": str(self.state),
            "ADDRESS": f"http://127.0.0.1:{self.server.server_port}",
            "PROJECT": "p",
            "REGION": "r",
        }

    def release(self, *words, status=0):
        done = subprocess.run([FOLDER / "release", *words], env=self.environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)

    def shares(self):
        traffic = json.loads(self.state.read_text())["status"]["traffic"]
        return {t["revisionName"]: t["percent"] for t in traffic if t["percent"]}

    def test_the_first_gets_all_calls_and_learns_its_address(self):
        self.release("deploy", "image:1", "one")
        self.assertEqual(self.shares(), {"oavc-one-a": 100})
        revision = json.loads(self.state.read_text())["revisions"]["oavc-one-a"]
        self.assertEqual(revision, {"image": "image:1", "url": "https://oavc.example"})
        self.release("check")
        self.release("canary", "10", status=3)

    def test_the_next_goes_by_steps_and_back(self):
        self.release("deploy", "image:1", "one")
        self.release("deploy", "image:2", "two")
        self.assertEqual(self.shares(), {"oavc-one-a": 100})
        self.release("canary", "10")
        self.assertEqual(self.shares(), {"oavc-one-a": 90, "oavc-two": 10})
        self.release("watch", "0")
        self.release("promote")
        self.assertEqual(self.shares(), {"oavc-two": 100})
        self.release("rollback")
        self.assertEqual(self.shares(), {"oavc-one-a": 100})
        # Promoted again, it is what the third would go back to.
        self.release("promote")
        self.release("deploy", "image:3", "three")
        self.release("canary", "50")
        self.release("rollback")
        self.assertEqual(self.shares(), {"oavc-two": 100})

    def test_one_that_is_not_ready_or_logs_errors_is_noticed(self):
        self.release("deploy", "image:1", "one")
        self.release("deploy", "image:2", "two")
        self.server.well = False
        self.release("check", status=1)
        self.release("watch", "0", status=1)
        self.server.well = True
        self.environment["ERRORS"] = "an-entry"
        self.release("watch", "0", status=1)

    def test_nonsense_is_refused(self):
        self.release(status=2)
        self.release("canary", "100", status=1)
        self.release("check", status=1)
        self.release("deploy", "image:1", "one")
        self.release("deploy", "image:1", "one-a", status=1)


if __name__ == "__main__":
    main()
