"""The .deb: cpack makes it, dpkg reads it, its unit is one that systemd takes and finds hardened."""
import functools
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from support import ROOT, main, need, oavc, run, skip

need("cpack", "dpkg-deb", "dpkg-shlibdeps", "file", "systemd-analyze")
FOLDER = ROOT / "deploy/debian"
TEMPORARY = tempfile.TemporaryDirectory()


@functools.cache
def package():
    """Unpacked, with its control files in DEBIAN."""
    build = pathlib.Path(oavc()).parent
    if not (build / "CPackConfig.cmake").exists():
        skip(f"{build} is not a build folder")
    out = pathlib.Path(TEMPORARY.name)
    # Uncompressed, as this program is the sanitized one, many times the size of what users get.
    run("cpack", "-G", "DEB", "--config", build / "CPackConfig.cmake", "-B", out, "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=none")
    [deb] = out.glob("*.deb")
    run("dpkg-deb", "-R", deb, out / "root")
    return out / "root"


def control(field):
    text = (package() / "DEBIAN/control").read_text()
    return re.search(rf"^{field}: (.*)$", text, re.M).group(1)


def depends():
    # libspdlog1.10-fmt9 is another name of libspdlog1.10.
    return {entry.split()[0].removesuffix("-fmt9") for entry in control("Depends").split(", ")}


class Package(unittest.TestCase):
    def test_holds_program_configuration_unit_and_documents_and_nothing_else(self):
        files = {str(f.relative_to(package())) for f in package().rglob("*") if f.is_file()}
        for file in ("usr/bin/oavc", "etc/oavc/oavc.ini", "etc/default/oavc", "usr/lib/systemd/system/oavc.service",
                     "usr/lib/sysusers.d/oavc.conf", "usr/share/doc/oavc/copyright", "usr/share/doc/oavc/examples/twilio.ini"):
            self.assertIn(file, files)
        allowed = ("DEBIAN/", "usr/bin/oavc", "etc/oavc/", "etc/default/oavc", "usr/lib/systemd/", "usr/lib/sysusers.d/", "usr/share/doc/oavc/")
        self.assertEqual([f for f in files if not f.startswith(allowed)], [])

    def test_keeps_what_an_operator_changes(self):
        conffiles = set((package() / "DEBIAN/conffiles").read_text().split())
        etc = {"/" + str(f.relative_to(package())) for f in (package() / "etc").rglob("*") if f.is_file()}
        self.assertEqual(conffiles, etc)

    def test_depends_on_what_the_image_holds(self):
        lines = (ROOT / "deploy/docker/runtime-packages").read_text().splitlines()
        image = {l for l in lines if l and not l.startswith("#")}
        # dpkg-shlibdeps knows what the C library's packages are; the image has them from its base. A
        # sanitized program has its own needs: none beyond those.
        base = {"libc6", "libgcc-s1", "zlib1g"}
        self.assertLessEqual(depends() - base, image)
        libraries = {name for name in image if name.startswith("lib")}
        if b"__asan_init" in pathlib.Path(oavc()).read_bytes():  # the sanitizer's heap instead
            libraries.remove("libjemalloc2")
        self.assertLessEqual(libraries, depends())
        self.assertEqual(control("Recommends"), "espeak-ng")

    def test_has_the_programs_version(self):
        self.assertEqual(run(oavc(), "version").split()[1], control("Version"))

    def test_runs_scripts_that_parse(self):
        for script in ("postinst", "prerm", "postrm"):
            self.assertTrue(os.access(package() / "DEBIAN" / script, os.X_OK), script)
            run("dash", "-n", package() / "DEBIAN" / script)

    def test_starts_with_a_configuration_without_problems(self):
        run(oavc(), "check-config", "--strict", package() / "etc/oavc/oavc.ini")


class Unit(unittest.TestCase):
    def setUp(self):
        # systemd looks whether the program that it shall start is there.
        self.text = (FOLDER / "oavc.service").read_text()
        self.file = pathlib.Path(TEMPORARY.name) / "oavc.service"
        self.file.write_text(self.text.replace("/usr/bin/oavc", oavc()))

    def test_is_taken_by_systemd_without_a_complaint(self):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", self.file], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_with_a_misspelt_key_is_complained_of(self):
        self.file.write_text(self.file.read_text().replace("KillMode=", "KilMode="))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", self.file], capture_output=True, text=True, check=False)
        self.assertIn("KilMode", done.stderr)

    def test_is_hardened(self):
        """systemd's own measure: 10 is open, 0 is closed; below 2 is its green."""
        run("systemd-analyze", "security", "--offline=true", "--threshold=15", self.file)

    def test_lets_calls_finish(self):
        minutes = int(re.search(r"^TimeoutStopSec=(\d+)min$", self.text, re.M).group(1))
        for ini in ("dev", "twilio", "gke"):
            text = (ROOT / f"config/{ini}.ini").read_text()
            for deadline in re.findall(r"^drain_deadline = (\d+)min$", text, re.M):
                self.assertGreater(minutes, int(deadline))


if __name__ == "__main__":
    main()
