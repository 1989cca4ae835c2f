"Run one notebook as nbdev does, in a process of its own."

import multiprocessing, os, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    'torch',
    'pandas',
    'scipy.stats',
    'sklearn.metrics',
    'matplotlib.pyplot',
    'seaborn',
    'plotly.graph_objects',
    'numba',
    'cv2',
    'nbdev.test',
]


def notebooks() -> list[str]:
    "Paths of all notebooks of the project, from its root, in order."
    found = [*ROOT.glob('*.ipynb'), *ROOT.glob('nbs/**/*.ipynb')]
    return sorted(
        p.relative_to(ROOT).as_posix()
        for p in found
        if not any(part.startswith(('.', '_')) for part in p.relative_to(ROOT).parts)
    )


def _child(path, skip, log):
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.chdir(
        ROOT
    )  # nbdev reads settings.ini from here; the cells run in the notebook's own folder
    from nbdev.test import test_nb

    passed, seconds = test_nb(ROOT / path, skip_flags=skip, basepath=ROOT)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if passed and seconds else 77 if passed else 1)


def run(path: str, skip=(), timeout=900) -> tuple[str, str]:
    "`passed`, `skipped` (its front matter says skip_exec) or what went wrong, and what the notebook printed."
    # a fork of a server that has done the slow imports and nothing else: isolated, and ready at once
    context = multiprocessing.get_context(
        'forkserver' if 'forkserver' in multiprocessing.get_all_start_methods() else 'spawn'
    )
    if context.get_start_method() == 'forkserver':
        context.set_forkserver_preload(HEAVY)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / 'log'
        log.touch()
        process = context.Process(target=_child, args=(path, list(skip), str(log)))
        process.start()
        process.join(timeout)
        if late := process.is_alive():
            process.kill()
            process.join()
        said = log.read_text(errors='replace')
    if late:
        return f'still running after {timeout} s', said
    if process.exitcode < 0:
        return f'killed by signal {-process.exitcode}', said
    return {0: 'passed', 77: 'skipped'}.get(process.exitcode, 'failed'), said
