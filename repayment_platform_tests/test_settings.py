"""Settings: what a missing or wrong value says, and what stays secret."""

import re
from pathlib import Path

import pytest

from repayment_platform.setting_names import known_names
from repayment_platform.settings import API_PATH, ROOT, BadSettings, Settings, load_settings
from repayment_platform_tests.certificates import Certificates

LEDGER = f"https://ledger.example.com{API_PATH}"


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `.env`, and no setting in the environment."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    path = tmp_path / ".env"
    path.touch()
    monkeypatch.setenv("REPAYMENT_ENV_FILE", str(path))
    return path


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"POSTING_WORKERS": "many"}, "POSTING_WORKERS: "),
        ({"POSTING_WORKERS": "0"}, "POSTING_WORKERS: "),
        ({"OPS_PORT": "70000"}, "OPS_PORT: "),
        ({"FINERACT_TIMEOUT_SECONDS": "-1"}, "FINERACT_TIMEOUT_SECONDS: "),
        ({"FINERACT_BASE_URL": "https://ledger.example.com"}, "FINERACT_BASE_URL must "),
        ({"FINERACT_BASE_URL": f"ftp://ledger.example.com{API_PATH}"}, "FINERACT_BASE_URL must "),
        ({"FINERACT_BASE_URL": LEDGER}, "FINERACT_ALLOWED_HOSTS must name ledger.example.com"),
        (
            {
                "FINERACT_BASE_URL": LEDGER.replace("https", "http"),
                "FINERACT_ALLOWED_HOSTS": "ledger.example.com",
            },
            "FINERACT_BASE_URL must begin with https://: over http:// everybody on the way to "
            "ledger.example.com can read the password and change repayments; ",
        ),
        (
            {"FINERACT_CA_FILE": "/nowhere/ca.pem"},
            "FINERACT_CA_FILE: /nowhere/ca.pem cannot be read: No such file or directory",
        ),
        ({"FINERACT_CA_FILE": __file__}, f"FINERACT_CA_FILE: {__file__} holds no certificate in "),
        ({"FINERACT_SETTLE_SECONDS": "1"}, "FINERACT_SETTLE_SECONDS (1) must be greater than "),
        ({"DATABASE_URL": "postgresql://u@h/d"}, "FINERACT_BASE_URL must be set when DATABASE_URL"),
    ],
)
def test_a_wrong_value_is_exactly_one_line_that_names_the_variable(
    wrong: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as stop:
        load_settings()
    output = capsys.readouterr()
    assert output.err.startswith(f"settings: {says}")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert stop.value.code == 2


def test_without_any_setting_the_platform_uses_its_own_database_and_sandbox() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert settings.uses_sandbox
    assert settings.ledger_url == "sandbox"
    assert (settings.timeout_seconds, settings.settle_seconds) == (1.5, 2)


def test_a_real_fineract_gets_time_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINERACT_BASE_URL", LEDGER)
    monkeypatch.setenv("FINERACT_ALLOWED_HOSTS", "other.example.com, ledger.example.com")
    settings = load_settings()
    assert (settings.timeout_seconds, settings.settle_seconds) == (20, 60)
    assert settings.ledger_url == LEDGER


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_fineract_on_this_machine_may_do_without_tls(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("FINERACT_BASE_URL", f"http://{host}:8443{API_PATH}")
    monkeypatch.setenv("FINERACT_ALLOWED_HOSTS", host.strip("[]"))
    assert not load_settings().uses_sandbox


def test_a_ca_file_is_named_as_it_is_from_anywhere(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(certificates.folder)
    monkeypatch.setenv("FINERACT_CA_FILE", "ca.pem")
    assert load_settings().fineract_ca_file == certificates.ca


def test_the_sandbox_may_be_asked_for_beside_a_database_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    assert load_settings().uses_sandbox


def test_the_env_file_feeds_settings_and_the_environment_wins(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("OPS_PORT=9001\nWEBHOOK_PORT=9002\nDAGSTER_PORT=\n")
    monkeypatch.setenv("WEBHOOK_PORT", "9003")
    settings = load_settings()
    assert (settings.ops_port, settings.webhook_port, settings.dagster_port) == (9001, 9003, 3000)


def test_webhook_secrets_come_newest_first_from_the_env_file_or_the_environment(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text(
        "CASHFREE_WEBHOOK_SECRETS_GB=fresh, stale ,\nRAZORPAY_WEBHOOK_SECRETS_UGRO=a\n"
    )
    monkeypatch.setenv("RAZORPAY_WEBHOOK_SECRETS_UGRO", "b")
    settings = load_settings()

    def secrets(provider: str, lender: str) -> list[str]:
        return [s.get_secret_value() for s in settings.webhook_secrets(provider, lender)]

    assert secrets("cashfree", "gb") == ["fresh", "stale"]
    assert secrets("razorpay", "ugro") == ["b"]
    assert secrets("razorpay", "vivriti") == []


def test_no_secret_is_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@h/d")
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    monkeypatch.setenv("FINERACT_PASSWORD", "hidden")
    settings = load_settings()
    assert "hidden" not in repr(settings) + str(settings)


def test_the_default_home_stands_beside_the_code_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_settings().home
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == before
    assert (before.parent / "run").is_file()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASEURL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("FINERACT_BASEURL", "FINERACT_BASE_URL"),
        ("REPAYMNET_HOME", "REPAYMENT_HOME"),
        ("RAZORPAY_WEBHOOK_SECRET_UGRO", "RAZORPAY_WEBHOOK_SECRETS_UGRO"),
    ],
)
def test_a_misspelt_name_stops_the_start_and_the_likely_one_is_named(
    given: str,
    meant: str,
    env_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env_file.write_text(f"{given}=x\n")
    with pytest.raises(BadSettings):
        load_settings()
    said = f"settings: {given} ({env_file}) is no setting; did you mean {meant}?\n"
    assert capsys.readouterr().err == said
    env_file.write_text("")
    monkeypatch.setenv(given, "x")
    with pytest.raises(BadSettings, match=rf"{given} \(in the environment\) .* mean {meant}\?"):
        load_settings()


@pytest.mark.parametrize("given", ["FINERACT_COLOUR", "CASHFREE_WEBHOOK_SECRETS_IKF"])
def test_a_name_that_begins_like_ours_and_is_none_stops_the_start(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "x")
    with pytest.raises(BadSettings, match=f"{given} .* is no setting; README.md lists"):
        load_settings()


@pytest.mark.parametrize(
    "given", ["POSTGRES_HOST", "DAGSTER_HOME", "DAGSTER_HOST", "APP_PORT", "LISTEN_FDS", "PGPORT"]
)
def test_a_name_of_somebody_else_is_none_of_our_business(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "x")
    assert load_settings().uses_sandbox


def test_every_wrong_name_has_its_line(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text("OPS_PROT=1\n")
    monkeypatch.setenv("FINERACT_USERNMAE", "x")
    with pytest.raises(BadSettings):
        load_settings()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["FINERACT_USERNMAE", "OPS_PROT"]


def test_a_named_file_that_is_not_there_stops_the_start(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = env_file.with_name(".evn")
    monkeypatch.setenv("REPAYMENT_ENV_FILE", str(missing))
    with pytest.raises(BadSettings, match=f"there is no file {missing}; did you mean {env_file}?"):
        load_settings()


def test_nobody_need_have_an_env_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPAYMENT_ENV_FILE")
    monkeypatch.setattr("repayment_platform.settings.ROOT", env_file.parent / "empty")
    assert load_settings().uses_sandbox


def test_every_name_that_the_readme_lists_is_a_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.split("## Settings")[1].split("\n## ")[0]
    first_cells = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    listed = set(re.findall(r"`([A-Z]{2}[A-Z_]+)`", first_cells))
    known = known_names(Settings.model_fields)
    assert listed <= known
    assert {name for name in known if "WEBHOOK_SECRETS" not in name} <= listed
