"""deploy/opensips, by an OpenSIPS 3.6 (not in Debian 12): in PATH, or named by OPENSIPS, with its modules in
OPENSIPS_MODULES."""
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from support import ROOT, main, skip

PROGRAM = os.environ.get("OPENSIPS") or shutil.which("opensips")
if not PROGRAM:
    skip("there is no opensips; OPENSIPS and OPENSIPS_MODULES name one")
FOLDER = ROOT / "deploy/opensips"
ENVIRONMENT = {**os.environ, "OPENSIPS": PROGRAM, "ADVERTISED_ADDRESS": "127.0.0.1"}


class OpenSips(unittest.TestCase):
    def test_takes_the_configuration(self):
        done = subprocess.run([FOLDER / "start", "-C"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_refuses_a_broken_one(self):
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as broken:
            broken.write((FOLDER / "opensips.cfg").read_text().replace("ua_session_server_init", "ua_session_server_start"))
            broken.flush()
            environment = {**ENVIRONMENT, "OPENSIPS_CFG": broken.name}
            done = subprocess.run([FOLDER / "start", "-C"], env=environment, capture_output=True, text=True, check=False)
            self.assertNotEqual(done.returncode, 0)

    def test_is_healthy_while_it_runs(self):
        def healthy():
            return subprocess.run([FOLDER / "healthy"], stderr=subprocess.DEVNULL, check=False).returncode == 0

        self.assertFalse(healthy(), "something answers on UDP 5060 already")
        with subprocess.Popen([FOLDER / "start", "-m", "64", "-M", "8"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
            limit = time.monotonic() + 30
            while not healthy():
                self.assertLess(time.monotonic(), limit)
                self.assertIsNone(program.poll(), "it ended")
            program.terminate()
            program.wait(30)
        self.assertFalse(healthy())


if __name__ == "__main__":
    main()
