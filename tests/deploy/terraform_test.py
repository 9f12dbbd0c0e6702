"""deploy/terraform is written as Terraform writes it, and makes what deploy/k8s and deploy/cloudrun name.
Whether the provider takes it is checked where the provider is at hand: TERRAFORM_PLUGINS names a folder
made by `terraform providers mirror`."""
import os
import re
import tempfile
import unittest

from support import ROOT, main, need, run

need("terraform")
FOLDER = ROOT / "deploy/terraform"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))


def resources():
    return dict(re.findall(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', TEXT, re.M | re.S))


class Files(unittest.TestCase):
    def test_parse_and_are_formatted(self):
        run("terraform", f"-chdir={FOLDER}", "fmt", "-check", "-diff")

    def test_that_do_not_parse_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/main.tf", "w", encoding="utf-8") as file:
                file.write('resource "a" "b" {\n  c = [1,\n}\n')
            self.assertRaises(AssertionError, run, "terraform", f"-chdir={folder}", "fmt", "-check")

    def test_use_variables_that_are_declared_and_explained(self):
        declared = set(re.findall(r'^variable "(\w+)" \{\n  description = ', TEXT, re.M))
        self.assertEqual(set(re.findall(r"\bvar\.(\w+)", TEXT)), declared)
        self.assertEqual(set(re.findall(r'^variable "(\w+)"', TEXT, re.M)), declared)

    def test_refer_to_resources_that_are_there(self):
        there = set(re.findall(r'^resource "(\w+)" "(\w+)"', TEXT, re.M))
        used = set(re.findall(r"\b(google_\w+)\.(\w+)\b", TEXT))
        self.assertLessEqual(used, there)

    @unittest.skipUnless(os.environ.get("TERRAFORM_PLUGINS"), "SKIPPED: TERRAFORM_PLUGINS names no provider")
    def test_are_what_the_provider_takes(self):
        with tempfile.TemporaryDirectory() as data:
            environment = {**os.environ, "TF_DATA_DIR": data}
            run("terraform", f"-chdir={FOLDER}", "init", "-backend=false", "-lockfile=readonly",
                f"-plugin-dir={os.environ['TERRAFORM_PLUGINS']}", env=environment)
            run("terraform", f"-chdir={FOLDER}", "validate", env=environment)


class Names(unittest.TestCase):
    """What the manifests take for granted is made here."""

    def test_of_the_gateway(self):
        gateway = (ROOT / "deploy/k8s/components/gateway/gateway.yaml").read_text()
        for name, kind in (
            (re.search(r"NamedAddress, value: (\w+)", gateway).group(1), "google_compute_global_address"),
            (re.search(r"sslPolicy: (\w+)", gateway).group(1), "google_compute_ssl_policy"),
            (re.search(r"certmap: (\w+)", gateway).group(1), "google_certificate_manager_certificate_map"),
        ):
            self.assertRegex(resources()[kind], rf'name\s+= "{name}"')
        self.assertIn('min_tls_version = "TLS_1_2"', resources()["google_compute_ssl_policy"])

    def test_of_secrets_and_who_reads_them(self):
        store = (ROOT / "deploy/k8s/components/external-secrets/secrets.yaml").read_text()
        service = (ROOT / "deploy/cloudrun/service.yaml").read_text()
        made = set(re.search(r"secrets = toset\(\[(.*?)\]\)", TEXT, re.S).group(1).replace('"', "").replace(",", " ").split())
        self.assertEqual(set(re.findall(r"remoteRef: \{key: ([\w-]+)\}", store)), made)
        self.assertEqual(set(re.findall(r"secretKeyRef: \{name: ([\w-]+)", service)), made)
        accounts = set(re.findall(r'account_id   = "([\w-]+)"', TEXT))
        for text in (store, service):
            self.assertLessEqual(set(re.findall(r"([\w-]+)@PROJECT\.iam", text)), accounts)
        self.assertIn("[oavc/oavc-secrets]", TEXT)

    def test_of_ports(self):
        config = (ROOT / "config/gke.ini").read_text()
        first, last = (re.search(rf"^port_{end} = (\d+)$", config, re.M).group(1) for end in ("start", "end"))
        self.assertIn(f'ports    = ["{first}-{last}"]', TEXT)


if __name__ == "__main__":
    main()
