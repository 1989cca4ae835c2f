"""Made-up lists of videos whose people come in pairs."""

import pandas as pd


def listing(pairs, kinds=('swap',)):
    """Two people per pair, each with a real video and a fake of every kind of the other."""
    rows = [
        dict(
            video_id=f'{k}/{p:02}',
            label=int(k != 'real'),
            manipulation=k,
            compression='c23',
            corpus='made up',
            status='ok',
            difficulty=('easy', 'hard')[p // 2 % 2],
            group=f'p{p:02}' + (f'+p{p ^ 1:02}' if k != 'real' else ''),
        )
        for p in range(2 * pairs)
        for k in ('real', *kinds)
    ]
    return pd.DataFrame(rows)
