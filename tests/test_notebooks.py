"Every notebook runs, and what is stored in it is small and static."

import configparser, json, re
import pytest
from helpers.notebooks import ROOT, notebooks, run

SETTINGS = configparser.ConfigParser(delimiters=['='])
SETTINGS.read(ROOT / 'settings.ini')
SKIP = SETTINGS['DEFAULT'].get('tst_flags', '').split()
ANSI = re.compile(r'\x1b\[[0-9;]*m')


def _cells(path):
    return json.loads((ROOT / path).read_text())['cells']


def _slow(path):
    return any(
        re.match(rf'#\|\s*({"|".join(SKIP)})\s*$', l)
        for c in _cells(path)
        if c['cell_type'] == 'code'
        for l in ''.join(c['source']).splitlines()
    )


def _check(path, skip):
    result, said = run(path, skip, 900 if skip else 5400)
    if result == 'skipped':
        pytest.skip('its front matter says skip_exec')
    if result != 'passed':
        pytest.fail(f'{path} {result}\n' + ANSI.sub('', said)[-4000:], pytrace=False)


@pytest.mark.parametrize('path', notebooks())
def test_runs(path):
    _check(path, SKIP)


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', [p for p in notebooks() if SKIP and _slow(p) and '/build/' not in str(p)]
)
def test_runs_whole(path):
    "Those of nbs/build write the library's own assets: `make head` runs them, no test does."
    _check(path, [])


@pytest.mark.parametrize('path', notebooks())
def test_stored_outputs(path):
    assert 'widgets' not in json.loads((ROOT / path).read_text())['metadata'], (
        'widget state is stored'
    )
    for cell in _cells(path):
        for output in cell.get('outputs', []):
            where = f"{path}: {''.join(cell['source'])[:60]!r}"
            assert output['output_type'] != 'error', f'{where} stores an error'
            assert 'application/vnd.jupyter.widget-view+json' not in output.get('data', {}), (
                f'{where} stores a widget'
            )
            assert len(json.dumps(output)) < 400_000, (
                f'{where} stores {len(json.dumps(output)) // 1000} kB'
            )
