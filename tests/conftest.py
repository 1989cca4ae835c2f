import os

os.environ.setdefault(
    "GOMP_SPINCOUNT", "30000"
)  # idle threads soon sleep instead of spinning; read when torch loads
import pytest


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: takes minutes; run with -m slow or THREEDAD_SLOW=1')


def pytest_collection_modifyitems(config, items):
    if os.environ.get('THREEDAD_SLOW') == '1' or 'slow' in (config.getoption('-m') or ''):
        return
    for item in items:
        if 'slow' in item.keywords:
            item.add_marker(pytest.mark.skip(reason='slow: run with -m slow or THREEDAD_SLOW=1'))
