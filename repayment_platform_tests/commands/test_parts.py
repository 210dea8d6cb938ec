"""Which secrets `up` hands to which part; read from running ones in `deployment.test_secrets`."""

from repayment_platform.commands.parts import code_server, services
from repayment_platform.setting_names import known_names
from repayment_platform.settings import Settings

RUNS = {"FINERACT_USERNAME", "FINERACT_PASSWORD", "ALERT_URLS"}


def test_each_part_is_handed_the_secrets_that_it_needs_and_everything_that_is_none() -> None:
    settings = Settings(_env_file=None)
    given = dict.fromkeys(known_names(Settings.model_fields), "x") | {"PATH": "/bin"}
    webhooks = {name for name in given if "_WEBHOOK_SECRETS_" in name}
    secrets = {*webhooks, *RUNS, "MIGRATION_DATABASE_URL"}
    assert len(webhooks) == 4
    handed = {
        part.name: part.environment(given) for part in (*code_server(settings), *services(settings))
    }
    assert {part: secrets & set(env) for part, env in handed.items()} == {
        "code-server": RUNS,
        "webhooks": webhooks,
        "operations": RUNS - {"ALERT_URLS"},
        "metrics": set(),
        "dagster-webserver": set(),
        "dagster-daemon": RUNS,
    }
    assert all(set(given) - secrets <= set(env) for env in handed.values())
