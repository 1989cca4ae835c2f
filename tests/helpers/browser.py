"Helpers of the browser tests: find a Chromium, start JupyterLab, run a notebook in it."

import contextlib, json, os, shutil, socket, subprocess, sys, time, urllib.error, urllib.request
from pathlib import Path

FLAGS = [
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
]
NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')


def _playwright_chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        return p.chromium.executable_path


def chromium() -> str:
    "Path of a Chromium: the system's, else Playwright's, else one installed now; RuntimeError says why there is none."

    def found():
        there = [path for name in NAMES if (path := shutil.which(name))]
        own = _playwright_chromium() if not there else ''
        return there[0] if there else own if os.path.exists(own) else None

    if path := found():
        return path
    tries = [[sys.executable, '-m', 'playwright', 'install', 'chromium']]
    if os.path.exists('/etc/debian_version') and hasattr(os, 'geteuid') and os.geteuid() == 0:
        tries.insert(
            0,
            [
                'sh',
                '-c',
                'apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium',
            ],
        )
    said = []
    for command in tries:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as e:
            said.append(f"{' '.join(command)}: {e}")
            continue
        if path := found():
            return path
        said.append(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-300:]}")
    raise RuntimeError(
        'no Chromium for the browser tests, and installing one failed:\n' + '\n'.join(said)
    )


def free_port() -> int:
    "A loopback port nobody listens on."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def jupyterlab(root: Path, pythonpath: Path, wait=60):
    "A JupyterLab that serves `root` on a free port with settings of its own, stopped at the end; yields its URL."
    config = root / '.jupyter'
    settings = config / 'settings' / '@jupyterlab' / 'apputils-extension'
    settings.mkdir(parents=True)
    (settings / 'notification.jupyterlab-settings').write_text(
        json.dumps(dict(fetchNews='false', checkForUpdates=False))
    )
    dirs = dict(
        JUPYTER_CONFIG_DIR='config',
        JUPYTER_DATA_DIR='data',
        JUPYTER_RUNTIME_DIR='runtime',
        JUPYTERLAB_SETTINGS_DIR='settings',
        JUPYTERLAB_WORKSPACES_DIR='workspaces',
    )
    path = os.pathsep.join(filter(None, [str(pythonpath), os.environ.get('PYTHONPATH')]))
    env = os.environ | {k: str(config / v) for k, v in dirs.items()} | dict(PYTHONPATH=path)
    port = free_port()
    command = [
        sys.executable,
        '-m',
        'jupyterlab',
        '--no-browser',
        '--allow-root',
        '--ip=127.0.0.1',
        f'--port={port}',
        '--ServerApp.port_retries=0',
        '--IdentityProvider.token=',
        '--LabApp.expose_app_in_browser=True',
        f'--ServerApp.root_dir={root}',
    ]
    log = config / 'server.log'
    with log.open('w') as f:
        server = subprocess.Popen(command, env=env, cwd=root, stdout=f, stderr=subprocess.STDOUT)
    try:
        url, until = f'http://127.0.0.1:{port}', time.monotonic() + wait
        while True:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError('JupyterLab did not start:\n' + log.read_text()[-2000:])
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f'{url}/api', timeout=2).close()
                break
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


_IDLE = """() => {
  const k = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
  return k?.connectionStatus === 'connected' && k?.status === 'idle' }"""
_ERRORS = """() => jupyterapp.shell.currentWidget.content.widgets
  .filter(c => c.model.type === 'code').flatMap(c =>
    Array.from({length: c.model.outputs.length}, (_, i) => c.model.outputs.get(i).toJSON())
    .filter(o => o.output_type === 'error')
    .map(o => c.model.sharedModel.source.split('\\n')[0] + ': ' + o.ename + ': ' + o.evalue))"""
_RUN_ALL = """() => {
  window.ranAll = false;
  jupyterapp.commands.execute('notebook:run-all-cells').then(() => window.ranAll = true) }"""
_SCROLL = """async text => {
  const n = jupyterapp.shell.currentWidget.content;
  const code = c => c.model.type === 'code' && c.model.sharedModel.source.includes(text);
  const i = n.widgets.findIndex(code);
  n.activeCellIndex = i; await n.scrollToItem(i, 'start') }"""


def run_notebook(page, url: str, path: str, timeout=90):
    "Open a notebook in JupyterLab, run all its cells, and fail with the first error a cell shows."
    page.goto(f'{url}/lab/tree/{path}')
    page.wait_for_function(
        '() => window.jupyterapp?.shell?.currentWidget?.sessionContext', timeout=60_000
    )
    page.evaluate(
        "() => jupyterapp.commands.execute('application:set-mode', {mode: 'single-document'})"
    )
    if page.evaluate("() => !jupyterapp.shell.leftCollapsed"):
        page.evaluate("() => jupyterapp.shell.collapseLeft()")
    idle_since, until = None, time.monotonic() + 60
    while idle_since is None or time.monotonic() - idle_since < 1.5:
        if time.monotonic() > until:
            raise RuntimeError('the kernel did not become idle')
        idle_since = (idle_since or time.monotonic()) if page.evaluate(_IDLE) else None
        page.wait_for_timeout(150)
    page.evaluate(_RUN_ALL)
    page.wait_for_function('() => window.ranAll', timeout=timeout * 1000)
    if errors := page.evaluate(_ERRORS):
        raise AssertionError(f'{path}: ' + errors[0])
    page.wait_for_function(_IDLE, timeout=30_000)


def show_cell(page, source: str, selector: str):
    "Scroll to the cell whose source holds `source`, wait until `selector` is there, and return its locator."
    page.evaluate(_SCROLL, source)
    found = page.locator(selector).first
    found.wait_for(state='visible', timeout=20_000)
    found.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    return found


def use_theme(page, name: str):
    "Change JupyterLab's theme, and wait until it is there."
    page.evaluate(
        "name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
    )
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
    page.wait_for_timeout(1000)


def drag(page, slider, by: float):
    "Drag a slider's handle by a share of the track's length, with the mouse; returns the readout before and after."
    readout = slider.locator('.widget-readout')
    before, handle, track = (
        readout.inner_text(),
        slider.locator('.noUi-handle').bounding_box(),
        slider.locator('.noUi-base').bounding_box(),
    )
    x, y = handle['x'] + handle['width'] / 2, handle['y'] + handle['height'] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by * track['width'], y, steps=12)
    page.mouse.up()
    page.mouse.move(x, y + 60)
    return before, readout.inner_text()
