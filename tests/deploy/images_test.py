"""What can be said of the images without building them (scripts/test --deploy builds and starts the
connector's): the files they are made of, and the scripts in them, tried against stand-ins."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from support import ROOT, main, run

DOCKER = ROOT / "deploy/docker"
FILES = sorted(DOCKER.glob("**/Dockerfile"))


def instructions(file):
    text = re.sub(r"\\\n(?:\s*#[^\n]*\n)*", " ", file.read_text())
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


class Dockerfiles(unittest.TestCase):
    def test_are_there_for_each_service(self):
        self.assertEqual([f.parent.name for f in FILES], ["docker", "ollama", "whisper"])

    def test_use_known_instructions_in_several_stages(self):
        known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD", "VOLUME"}
        for file in FILES:
            words = [word for word, _ in instructions(file)]
            self.assertLessEqual(set(words), known, file)
            self.assertGreaterEqual(words.count("FROM"), 2, file)

    def test_end_as_nobody_special_and_tell_their_health(self):
        for file in FILES:
            last = []
            for word, rest in instructions(file):
                last = [] if word == "FROM" else [*last, (word, rest)]
            users = [rest for word, rest in last if word == "USER"]
            self.assertEqual(len(users), 1, file)
            self.assertRegex(users[0], r"^[1-9]\d+:[1-9]\d+$", "Kubernetes wants a number for runAsNonRoot")
            self.assertEqual(len([1 for word, _ in last if word == "HEALTHCHECK"]), 1, file)
            # In JSON: no shell stands between a signal and the program.
            for word, rest in last:
                if word in ("ENTRYPOINT", "CMD"):
                    self.assertTrue(rest.startswith("["), file)

    def test_pin_what_they_start_from(self):
        for file in FILES:
            for word, rest in instructions(file):
                if word == "ARG" and "/" in rest and "=" in rest and "docker.io" in rest:
                    self.assertRegex(rest, r":[\w.-]+$", file)
                    self.assertNotIn(":latest", rest, file)

    def test_copy_what_exists(self):
        for file in FILES:
            context = ROOT if file.parent == DOCKER else file.parent
            for word, rest in instructions(file):
                if word == "COPY" and not rest.startswith("--from"):
                    for source in rest.split()[:-1]:
                        self.assertTrue((context / source).exists(), f"{file}: {source}")


class RuntimePackages(unittest.TestCase):
    def test_are_sorted_into_lines_of_one_name(self):
        names = [l for l in (DOCKER / "runtime-packages").read_text().splitlines() if l and not l.startswith("#")]
        for name in names:
            self.assertRegex(name, r"^[a-z0-9][a-z0-9+.-]+$")
        self.assertEqual(len(names), len(set(names)))


class Scripts(unittest.TestCase):
    def test_have_no_complaint_of_shellcheck(self):
        try:
            for script in ("docker/collect-root", "docker/ollama/serve-model", "opensips/start", "opensips/healthy"):
                run("shellcheck", ROOT / "deploy" / script)
        except FileNotFoundError:
            self.skipTest("shellcheck is missing")


class WhisperProbe(unittest.TestCase):
    """deploy/docker/whisper/healthy against a server that answers in different ways."""

    def ask(self, *answer):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            def serve():
                connection, _ = server.accept()
                with connection:
                    self.asked = connection.recv(100)
                    for piece in answer:
                        connection.sendall(piece)

            thread = threading.Thread(target=serve)
            thread.start()
            done = subprocess.run(
                ["python3", DOCKER / "whisper/healthy", "127.0.0.1", str(port)], capture_output=True, text=True, check=False
            )
            thread.join()
            return done.returncode

    def test_is_content_with_a_recogniser_that_has_a_model(self):
        data = b'{"asr": [{"name": "faster-whisper", "models": [{"name": "base"}]}]}'
        header = b'{"type": "info", "version": "1.9.0", "data_length": %d}\n' % len(data)
        self.assertEqual(self.ask(header, data), 0)
        self.assertEqual(self.asked, b'{"type": "describe"}\n')
        self.assertEqual(self.ask(b'{"type": "info", "data": %s}\n' % data), 0)

    def test_is_not_content_with_less(self):
        self.assertEqual(self.ask(b'{"type": "info", "data": {"asr": [{"models": []}]}}\n'), 1)
        self.assertEqual(self.ask(b'{"type": "error", "data": {}}\n'), 1)
        self.assertEqual(self.ask(b"HTTP/1.1 400 Bad Request\r\n"), 1)
        self.assertEqual(self.ask(), 1)

    def test_says_that_nobody_is_there(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        done = subprocess.run(
            ["python3", DOCKER / "whisper/healthy", "127.0.0.1", str(port)], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", done.stderr)


OLLAMA = """#!/bin/sh
# Stands in for Ollama: keeps its models as files in $STATE and its questions in $STATE/asked.
echo "$OLLAMA_HOST $*" >>"$STATE/asked"
case $1 in
    serve) touch "$STATE/serving"; trap 'exit 0' TERM; while :; do sleep 0.05; done ;;
    list) [ -e "$STATE/serving" ] ;;
    show) [ -e "$STATE/serving" ] && [ -e "$STATE/model-$2" ] ;;
    pull) touch "$STATE/model-$2" ;;
    run) touch "$STATE/loaded" ;;
esac
"""


class ServeModel(unittest.TestCase):
    """deploy/docker/ollama/serve-model around a stand-in for Ollama."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name)
        stand_in = self.state / "ollama"
        stand_in.write_text(OLLAMA)
        stand_in.chmod(0o755)
        self.environment = {
            "PATH": f"{self.state}:{os.environ['PATH']}",
            "STATE": str(self.state),
            "OLLAMA_HOST": "0.0.0.0:11434",
            "OAVC_MODEL": "tiny",
        }

    def healthy(self):
        return subprocess.run([DOCKER / "ollama/serve-model", "--healthy"], env=self.environment, check=False).returncode == 0

    def wait_for(self, condition):
        limit = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), limit, "nothing happened within 30 s")
            time.sleep(0.02)

    def test_fetches_and_loads_the_model_once_and_ends_by_sigterm(self):
        self.assertFalse(self.healthy())
        with subprocess.Popen([DOCKER / "ollama/serve-model"], env=self.environment, stderr=subprocess.DEVNULL) as program:
            self.wait_for((self.state / "loaded").exists)
            self.assertTrue(self.healthy())
            program.send_signal(signal.SIGTERM)
            self.assertEqual(program.wait(30), 0)
        asked = (self.state / "asked").read_text()
        self.assertEqual(asked.count(" pull tiny"), 1)
        # It listens everywhere, but is asked on loopback.
        self.assertIn("0.0.0.0:11434 serve", asked)
        self.assertIn("127.0.0.1:11434 pull tiny", asked)

    def test_does_not_fetch_what_is_there(self):
        (self.state / "model-tiny").touch()
        with subprocess.Popen([DOCKER / "ollama/serve-model"], env=self.environment, stderr=subprocess.DEVNULL) as program:
            self.wait_for((self.state / "loaded").exists)
            program.send_signal(signal.SIGTERM)
            program.wait(30)
        self.assertNotIn("pull", (self.state / "asked").read_text())


if __name__ == "__main__":
    main()
