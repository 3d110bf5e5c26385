from tools import debian

INSTALLED_BEFORE = "installed bash bash\nconfig-files nginx-light nginx\n"
INSTALLED_AFTER = (
    "installed bash bash\ninstalled nginx-light nginx\ninstalled nginx-common nginx\n"
    "installed logrotate logrotate\n"
)
FILES = {
    "nginx-common": "/lib/systemd/system/nginx.service\n/lib/systemd/system/x@.service\n"
    "/etc/init.d/nginx\n/usr/share/doc\n",
    "nginx-light": "/usr/sbin/nginx\n",
    "logrotate": "/lib/systemd/system/logrotate.timer\n",
}


def test_install_disables_only_services_of_requested_packages(monkeypatch, tmp_path):
    ran = []

    def run(command):
        ran.append(command)
        if command[:2] == ["dpkg-query", "--show"]:
            is_installed = any(each[:2] == ["apt-get", "install"] for each in ran)
            return INSTALLED_AFTER if is_installed else INSTALLED_BEFORE
        if command[:2] == ["dpkg-query", "--listfiles"]:
            return "".join(FILES[name] for name in command[2:])
        return ""

    monkeypatch.setattr(debian, "_run", run)
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert debian.install(["nginx-light"]) == ["nginx.service"]
    assert ran[-2:] == [
        ["systemctl", "disable", "nginx.service"],
        ["update-rc.d", "nginx", "disable"],
    ]
    assert not (tmp_path / "policy-rc.d").exists()


def test_install_of_nothing_new_disables_nothing(monkeypatch):
    monkeypatch.setattr(
        debian, "_run", lambda command: INSTALLED_AFTER if command[0] == "dpkg-query" else ""
    )
    assert debian.install(["nginx-light"]) == []


def test_missing_returns_packages_of_absent_programs_and_paths(monkeypatch, tmp_path):
    sources, gone = str(tmp_path), str(tmp_path / "gone")
    packages = {sources: "here-dev", gone: "gone-dev", "sh": "here", "no-such-program": "gone"}
    monkeypatch.setattr(debian, "PACKAGES", packages)
    assert debian.missing(packages) == ["gone", "gone-dev"]
