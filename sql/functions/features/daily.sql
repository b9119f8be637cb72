-- features.daily(): what the kernels of daily tables share, as a module in GD: where candles stand among sessions.
--
--     plpy.execute("select db.packing(), features.daily()")
--     sessions = GD["daily"].within(calendar, ts)
--     place = GD["daily"].places(sessions, ts, p_id)
--
-- Shared as db.packing is, and part of every fingerprint too.
--
-- requires: functions/db/packing.sql
-- needs: plpython3u

create or replace function features.daily()
returns void
language plpython3u
stable parallel unsafe
as $$
if "made" in SD:
    return

from types import SimpleNamespace

import numpy as np


def within(calendar, ts):
    """The sessions from the first candle to the last."""
    return calendar[slice(*np.searchsorted(calendar, ts[[0, -1]] + [0, 1]))] if len(ts) else ts


def places(sessions, ts, asset):
    """Where each candle stands among the sessions; an error that names the first that belongs to none."""
    place = np.searchsorted(sessions, ts)
    strays = np.arange(len(ts))
    if len(sessions):
        strays = np.flatnonzero(sessions.take(place, mode="clip") != ts)
    if len(strays):
        plpy.error(
            "a candle belongs to no session",
            detail=f"Asset {asset}, {GD['packing'].iso(ts[strays[:1]])[0]}.",
            hint="A candle's ts is the last millisecond of its session; correct or delete it.",
            sqlstate="TA404",
        )
    return place


GD["daily"] = SimpleNamespace(within=within, places=places)
SD["made"] = True
$$;

comment on function features.daily() is
    'Puts the module daily into GD: where candles stand among the sessions.';
