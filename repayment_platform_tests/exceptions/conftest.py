"""What the facts call for, asked of a database with CORE, without runs."""

from repayment_platform_tests.posting.conftest import Bench, bench, database_urls

__all__ = ["Bench", "bench", "database_urls"]
