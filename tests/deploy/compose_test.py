"""The Compose files are what docker-compose takes, every service tells its health, and what they tell the
connector by its environment is what it understands."""
import functools
import json
import os
import subprocess
import unittest

import yaml
from support import ROOT, main, need, oavc, run

need("docker-compose")

FILES = {
    "machine": ["docker-compose.yml"],
    "dev": ["docker-compose.dev.yml"],
    "cloud": ["docker-compose.cloud.yml"],
    "gpu": ["docker-compose.dev.yml", "docker-compose.gpu.yml"],
}
SETTINGS = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@functools.cache
def composed(name, **environment):
    """As docker-compose reads it: variables filled in, unknown keys refused."""
    files = [word for file in FILES[name] for word in ("-f", file)]
    return yaml.safe_load(run("docker-compose", *files, "config", env={**SETTINGS, **environment}))


def refused(text):
    done = subprocess.run(
        ["docker-compose", "-f", "-", "config"], input=text, capture_output=True, text=True, env=SETTINGS, check=False
    )
    return done.returncode != 0


def problems_of(environment, config="config/dev.ini"):
    """What check-config says about a file in that environment."""
    done = subprocess.run(
        [oavc(), "check-config", "--strict", config],
        env={k: str(v) for k, v in environment.items() if v is not None},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Files(unittest.TestCase):
    def test_are_understood(self):
        for name in FILES:
            self.assertTrue(composed(name)["services"], name)

    def test_with_a_misspelt_key_are_refused(self):
        self.assertTrue(refused(json.dumps({"services": {"a": {"image": "b", "read-only": True}}})))
        self.assertFalse(refused(json.dumps({"services": {"a": {"image": "b", "read_only": True}}})))

    def test_name_files_that_exist(self):
        for name in FILES:
            for service in composed(name)["services"].values():
                for volume in service.get("volumes", []):
                    source = volume.split(":")[0]
                    if source.startswith("/"):
                        self.assertTrue(os.path.exists(source), source)
                build = service.get("build")
                if build:
                    context = build["context"] if isinstance(build, dict) else build
                    file = build.get("dockerfile", "Dockerfile") if isinstance(build, dict) else "Dockerfile"
                    self.assertTrue(os.path.exists(os.path.join(context, file)), context)


class Services(unittest.TestCase):
    def test_tell_their_health(self):
        for name in FILES:
            for service, what in composed(name)["services"].items():
                self.assertLessEqual(
                    {"test", "interval", "timeout", "retries", "start_period"}, set(what.get("healthcheck", {})), f"{name} {service}"
                )

    def test_of_the_connector_have_no_rights_and_a_read_only_root(self):
        for name in FILES:
            connector = composed(name)["services"]["oavc"]
            self.assertTrue(connector["read_only"], name)
            self.assertEqual(connector["cap_drop"], ["ALL"], name)
            self.assertEqual(connector["security_opt"], ["no-new-privileges:true"], name)
            self.assertNotIn("privileged", connector, name)

    def test_of_development_are_all_providers_and_an_opensips(self):
        self.assertLessEqual(
            {"opensips", "oavc", "vosk-server", "wyoming-faster-whisper", "llama-server", "ollama", "piper-tts-server", "wyoming-piper"},
            set(composed("dev")["services"]),
        )

    def test_of_development_share_opensipss_loopback(self):
        services = composed("dev")["services"]
        self.assertEqual(services["oavc"]["network_mode"], "service:opensips")
        published = {(port["target"], port["protocol"]) for port in services["opensips"]["ports"]}
        rtp = {(port, "udp") for port in range(35000, 35101)}
        # Neither commands to OpenSIPS (8087) nor its events: whoever sends those owns every call.
        self.assertEqual(published, rtp | {(5060, "udp"), (5060, "tcp"), (8088, "tcp"), (8089, "udp")})

    def test_in_the_cloud_have_no_udp(self):
        for service in composed("cloud")["services"].values():
            self.assertFalse(any("udp" in str(port) for port in service.get("ports", [])))


class Environment(unittest.TestCase):
    def test_is_understood_by_the_connector(self):
        self.assertEqual(problems_of(composed("machine")["services"]["oavc"]["environment"]), "")
        self.assertEqual(problems_of(composed("dev")["services"]["oavc"]["environment"]), "")
        cloud = composed("cloud")["services"]["oavc"]["environment"]
        self.assertEqual(cloud.pop("OAVC_CONFIG_FILE"), "/etc/oavc/cloudrun.ini")
        self.assertEqual(problems_of(cloud, "config/cloudrun.ini"), "")

    def test_switches_providers(self):
        for stt, llm, tts in (("vosk", "llama", "piper"), ("wyoming", "ollama", "wyoming"), ("pocketsphinx", "scripted", "espeak-ng")):
            environment = composed("dev", STT=stt, LLM=llm, TTS=tts)["services"]["oavc"]["environment"]
            self.assertEqual(problems_of(environment), "", f"{stt} {llm} {tts}")
            self.assertEqual((environment["OAVC_STT_PROVIDER"], environment["OAVC_LLM_PROVIDER"], environment["OAVC_TTS_PROVIDER"]), (stt, llm, tts))

    def test_leads_to_services_that_are_there(self):
        services = composed("dev")["services"]
        for key, value in services["oavc"]["environment"].items():
            if "://" in str(value) and "PUBLIC_URL" not in key:
                host, _, port = value.split("://")[1].partition(":")
                self.assertIn(host, services, key)


if __name__ == "__main__":
    main()
