"The first tutorial in a real browser: JupyterLab, Chromium, and a mouse that drags the sliders."

import base64, re, shutil, time
from pathlib import Path
import pytest
from playwright.sync_api import sync_playwright
from helpers.browser import FLAGS, chromium, drag, jupyterlab, run_notebook, show_cell, use_theme
from threedad.core import read_table
from threedad.corpus import Store
from threedad.evaluate import video_scores
from threedad.measures import operating_point

ROOT = Path(__file__).parent.parent
TUTORIAL = 'nbs/tutorials/01_first_look.ipynb'
EXPLORERS = [
    ('TrajectoryExplorer(store', '.threedad-trajectories'),
    ('RocExplorer(predictions', '.threedad-roc'),
]
SHOTS = ROOT / 'data' / 'screenshots'


def _folder():
    return next(
        (
            f
            for f in (ROOT / 'data' / 'demo', ROOT / 'data' / 'sample')
            if (f / 'predictions.parquet').exists()
        ),
        None,
    )


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    "The tutorial, run to its end, in a copy of the tree that shares only the data."
    if _folder() is None:
        pytest.fail('neither data/demo nor data/sample exists: run `make demo`')
    root = tmp_path_factory.mktemp('lab')
    (root / TUTORIAL).parent.mkdir(parents=True)
    shutil.copy(ROOT / TUTORIAL, root / TUTORIAL)
    (root / 'data').symlink_to(ROOT / 'data', target_is_directory=True)
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = chromium()  # asks Playwright itself, which must not run yet
    with jupyterlab(root, ROOT) as url, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport=dict(width=1400, height=1000))
        run_notebook(page, url, TUTORIAL)
        yield page
        browser.close()


def soon(expected, read, seconds=8):
    "Wait until `read()` gives what is expected; the last reading is shown when it never does."
    until = time.monotonic() + seconds
    while (got := read()) != expected:
        if time.monotonic() > until:
            assert got == expected
        time.sleep(0.1)


# where the vertical line is drawn, in pixels, and the frame at that place of the axis
LINE = """root => { const gd = root.querySelector('.js-plotly-plot'), ax = gd._fullLayout.xaxis;
  const px = +root.querySelector('.shapelayer path').getAttribute('d').match(/^M([-\\d.]+)/)[1];
  return {px, frame: ax.p2l(px - ax._offset), x0: gd._fullLayout.shapes[0].x0} }"""
# bytes of the picture in the page
PICTURE = """async image => {
  const b = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return btoa(Array.from(b, c => String.fromCharCode(c)).join('')) }"""
# where the operating point is drawn, in units of the axes
DOT = """root => {
  const {xaxis, yaxis} = root.querySelector('.js-plotly-plot')._fullLayout;
  const p = root.querySelectorAll('.scatterlayer .point');
  const at = p[p.length - 1].getAttribute('transform').match(/-?[\\d.]+/g).map(Number);
  return [xaxis.p2l(at[0]), yaxis.p2l(at[1])] }"""
# the lowest contrast (WCAG) of a text of a table with what lies behind it
CONTRAST = """root => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
  const over = ([r, g, b, a], back) => [r, g, b].map((v, i) => a * v + (1 - a) * back[i]);
  const linear = v => v > 10 ? ((v / 255 + 0.055) / 1.055) ** 2.4 : v / 3295;
  const light = c => { const [r, g, b] = c.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const behind = e => {
    const color = rgba(getComputedStyle(e).backgroundColor);
    return color[3] === 1 || e === document.body ? color.slice(0, 3) : over(color, behind(e.parentElement)) };
  const texts = [...root.querySelectorAll('th, td')].filter(e => e.innerText.trim());
  return Math.min(...texts.map(e => {
    const back = behind(e), [a, b] = [light(back), light(over(rgba(getComputedStyle(e).color), back))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) })) }"""


def test_trajectory_slider(page):
    store = Store(_folder() / 'store')
    explorer = show_cell(page, 'TrajectoryExplorer(store', '.threedad-trajectories')
    explorer.locator('.shapelayer path').wait_for(state='attached', timeout=20_000)
    page.screenshot(path=SHOTS / 'trajectories-before.png')
    videos = [
        explorer.locator('select').nth(i).evaluate('s => s.options[s.selectedIndex].text')
        for i in (0, 1)
    ]
    jpeg = {v: store.shard(v).set_index('frame')['jpeg'] for v in videos}
    slider = explorer.locator('.widget-slider').first
    line_at = [explorer.evaluate(LINE)['px']]
    for by in (0.55, -0.2):
        before, after = drag(page, slider, by)
        frame = int(after)
        assert (frame > int(before)) == (by > 0), (
            f'the mouse did not move the slider: {before} -> {after}'
        )
        soon(f'frame {frame}', lambda: explorer.locator('.threedad-frame').inner_text())
        soon(frame, lambda: explorer.evaluate(LINE)['x0'])
        line = explorer.evaluate(LINE)
        assert line['frame'] == pytest.approx(frame, abs=0.5), (
            'the line is not drawn at the frame of the readout'
        )
        line_at.append(line['px'])
        for i, v in enumerate(videos):
            shown = base64.b64decode(explorer.locator('img').nth(i).evaluate(PICTURE))
            if frame in jpeg[v].index:
                assert shown == jpeg[v][frame], f'the picture of {v} is not that of frame {frame}'
    assert line_at[1] > line_at[0] + 50 and line_at[2] < line_at[1] - 50
    page.screenshot(path=SHOTS / 'trajectories-after.png')
    explorer.get_by_placeholder('add a coefficient by name').fill('pitch')
    page.keyboard.press('Enter')
    explorer.locator('.jupyter-widget-tag', has_text='pitch').wait_for(timeout=8000)
    soon(4, lambda: explorer.locator('.cartesianlayer > .subplot').count())
    before, after = drag(page, slider, 0.1)
    soon(int(after), lambda: explorer.evaluate(LINE)['x0'])
    explorer.screenshot(path=SHOTS / 'trajectories.png')


def test_threshold_slider(page):
    scores = video_scores(read_table(_folder() / 'predictions.parquet'))
    explorer = show_cell(page, 'RocExplorer(predictions', '.threedad-roc')
    explorer.locator('.scatterlayer .point').first.wait_for(state='attached', timeout=20_000)
    page.screenshot(path=SHOTS / 'roc-before.png')

    def numbers():
        cells = (explorer.locator(f'.threedad-{c}') for c in ('tn', 'fp', 'fn', 'tp'))
        return tuple(int(c.inner_text()) for c in cells)

    slider, seen = explorer.locator('.widget-slider').first, [numbers()]
    assert seen[0] == tuple(operating_point(scores.label, scores.score, 0.5)[1:])
    for by in (0.4, -0.75):
        before, after = drag(page, slider, by)
        threshold = float(re.search(r'[\d.]+', after)[0])
        assert (threshold > float(before)) == (by > 0), (
            f'the mouse did not move the slider: {before} -> {after}'
        )
        p = operating_point(scores.label, scores.score, threshold)
        soon(tuple(p[1:]), numbers)
        soon(
            threshold,
            lambda: explorer.evaluate(
                "r => r.querySelector('.js-plotly-plot')._fullLayout.shapes[0].x0"
            ),
        )
        assert explorer.evaluate(DOT) == pytest.approx([p.fpr, p.tpr], abs=0.01), (
            'the dot is not drawn at the operating point'
        )
        assert explorer.locator('.threedad-tpr').inner_text() == f'{p.tpr:.3f}'
        assert explorer.locator('.threedad-fpr').inner_text() == f'{p.fpr:.3f}'
        seen.append(numbers())
        page.screenshot(path=SHOTS / f'roc-at-{threshold:.3f}.png')
    assert len(set(seen)) > 1, 'no threshold changed the confusion matrix'
    explorer.screenshot(path=SHOTS / 'roc.png')


@pytest.mark.parametrize('theme', ['JupyterLab Light', 'JupyterLab Dark'])
@pytest.mark.parametrize('width', [1400, 700])
@pytest.mark.parametrize('source, selector', EXPLORERS)
def test_explorers_can_be_read_at_any_width_in_any_theme(page, theme, width, source, selector):
    page.set_viewport_size(dict(width=width, height=1000))
    use_theme(page, theme)
    try:
        explorer = show_cell(page, source, selector)
        page.screenshot(path=SHOTS / f'{selector[10:]}-{theme.split()[1].lower()}-{width}.png')
        assert explorer.evaluate(CONTRAST) >= 3
        wide = explorer.evaluate('root => [root.scrollWidth, root.clientWidth]')
        assert wide[0] <= wide[1], 'a part of the explorer lies outside of it'
    finally:
        use_theme(page, 'JupyterLab Light')
        page.set_viewport_size(dict(width=1400, height=1000))
