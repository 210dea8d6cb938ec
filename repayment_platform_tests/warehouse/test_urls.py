"""One address, read back by each library as it was written."""

from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from repayment_platform.warehouse.urls import DatabaseUrls

# What a name or password may hold: anything printable, and what URLs use for themselves.
texts = st.text(
    st.sampled_from("aZ0 %/@:?#&=+[]'\"\\,;é₹")
    | st.characters(codec="utf-8", categories=["L", "N"]),
    min_size=1,
    max_size=12,
)
hosts = st.sampled_from(["localhost", "db.example.com", "10.0.0.1", "::1"]) | texts.map(
    lambda name: "/tmp/" + name.replace(",", "")
)
addresses = st.builds(
    DatabaseUrls,
    host=hosts,
    port=st.integers(1, 65535),
    user=texts,
    dbname=texts,
    password=st.just("") | texts,
    options=st.fixed_dictionaries({}, optional={"application_name": texts, "options": texts}),
)


@given(addresses)
def test_libpq_reads_back_what_was_written(urls: DatabaseUrls) -> None:
    assert DatabaseUrls.parse(urls.psycopg) == urls


@given(addresses)
def test_key_value_strings_are_read_as_well(urls: DatabaseUrls) -> None:
    text = psycopg.conninfo.make_conninfo(**conninfo_to_dict(urls.psycopg))
    assert DatabaseUrls.parse(text) == urls


@given(addresses)
def test_sqlalchemy_hands_the_same_to_its_driver(urls: DatabaseUrls) -> None:
    for url in (urls.sqlalchemy, urls.dagster):
        parsed = sqlalchemy.make_url(url)
        _, given_to_driver = parsed.get_dialect()().create_connect_args(parsed)
        assert given_to_driver["host"] == urls.host
        assert int(given_to_driver["port"]) == urls.port
        assert given_to_driver["user"] == urls.user
        assert given_to_driver.get("password", "") == urls.password
        assert given_to_driver.get("dbname", given_to_driver.get("database")) == urls.dbname


def test_no_password_is_in_the_repr() -> None:
    urls = DatabaseUrls.parse("postgresql://u:hidden@h/d?sslpassword=hidden")
    assert "hidden" not in f"{urls!r} {urls.with_database('x')!r}"


def test_every_driver_connects_and_dagster_works_in_its_own_schema(
    database_urls: DatabaseUrls,
) -> None:
    for url, schema in ((database_urls.sqlalchemy, "public"), (database_urls.dagster, "dagster")):
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT current_schema()").scalar() == schema
        engine.dispose()
    with psycopg.connect(database_urls.psycopg) as connection:
        assert connection.info.dbname == database_urls.dbname


def test_the_drivers_are_named_so_that_no_library_picks_its_own() -> None:
    urls = DatabaseUrls.parse("postgresql://u:p@h/d")
    assert urls.sqlalchemy.startswith("postgresql+psycopg://")
    assert urls.dagster.startswith("postgresql+psycopg2://")


def test_dbt_gets_its_profile_and_libpq_options_by_environment() -> None:
    secret = "p@ss word/%"
    url = (
        f"postgresql://u:{quote(secret, safe='')}@h:6543/d?sslmode=verify-full&sslrootcert=/ca.pem"
    )
    env = DatabaseUrls.parse(url).dbt_env
    assert "-cidle_session_timeout=0" in env.pop("PGOPTIONS")
    assert env == {
        "DBT_HOST": "h",
        "DBT_PORT": "6543",
        "DBT_USER": "u",
        "DBT_PASSWORD": secret,
        "DBT_DBNAME": "d",
        "PGCONNECT_TIMEOUT": "10",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://u:secret@h/d", "not a PostgreSQL URL"),
        ("postgresql://u:secret@h", "names no dbname"),
        ("postgresql://:secret@/d", "names no host and no user"),
        ("postgresql://u:secret@a:1,b:2/d", "one host and one port"),
        ("postgresql://u:secret%zz@h/d", "not a PostgreSQL URL"),
    ],
)
def test_a_bad_url_is_refused_without_quoting_it(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refusal:
        DatabaseUrls.parse(url)
    assert "secret" not in str(refusal.value)
