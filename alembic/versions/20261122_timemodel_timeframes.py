"""timemodel: the 199 timeframes, each with what a bar of it is

``tf_days`` of months is the mean length, rounded; the bounds are the true ones: nine months in a row have
273 to 276 days. Where a first bar may be partial, the lower bound is 1. Sessions are counted where
``alignment`` is trading, calendar days elsewhere.
The constraints hold the name to the meaning: a row is either one of these families or refused.
"""

from alembic import op

revision = "20261122_timemodel_timeframes"
down_revision = "20261122_features_state"

# What the routine lane made of this table and its row type: applied again after an upgrade.
ROUTINES = {
    "functions/timemodel/refuse_timeframe_change.sql": ("timemodel.refuse_timeframe_change()",),
    "functions/timemodel/timeframe.sql": ("timemodel.timeframe(text, integer)",),
    "functions/timemodel/timeframe_windows.sql": (
        "timemodel.timeframe_windows(integer, text, date, date, date)",
        "timemodel._calendar_windows("
        "timemodel.dim_timeframe, timemodel.dim_sessions, date, date, date)",
    ),
    "functions/timemodel/same_grid.sql": (
        "timemodel.same_grid(text, text, text)",
        "timemodel._grid(timemodel.dim_timeframe, integer)",
    ),
}

COMMENTS = {
    "tf_id": "What bars and their features refer to.",
    "tf": "The name: count and unit, then how it is aligned.",
    "label": "What it is, for people.",
    "alignment": "trading: a bar counts sessions from the asset''s first; calendar: it spans days of the calendar.",
    "base_unit": "D, W, M or Y: days, weeks, months, years.",
    "tf_qty": "How many of them make a bar.",
    "anchor": "Null: grouped from the asset''s first full unit, or its first session. EPOCH: a fixed grid from the"
    " week of 1970-01-05 (ISO, CAL) or 1970-01-04 (US). YEAR: aligned within the calendar year.",
    "calendar_scheme": "ISO: weeks start on Monday, US: on Sunday, CAL: no weeks; null: trading.",
    "tf_days": "Nominal length: sessions if trading, else calendar days.",
    "tf_days_min": "The shortest that a closed bar can be.",
    "tf_days_max": "The longest.",
    "is_canonical": "The one to take where several have the same meaning.",
    "allow_partial_start": "Whether the first bar may begin before the asset does.",
    "allow_partial_end": "Whether its unfinished bar may be shown; none is ever stored.",
    "sort_order": "Its place in lists.",
    "is_active": "Whether a refresh computes it. One that is switched off keeps its bars.",
}

#: tf_id, tf, label, alignment, base_unit, tf_qty, anchor, calendar_scheme, tf_days, tf_days_min,
#: tf_days_max, is_canonical.
TIMEFRAMES = """
    (  1, '1D',                 '1 session',                                    'trading',  'D',   1, null,    null,    1,   1,   1, true),
    (  2, '2D',                 '2 sessions',                                   'trading',  'D',   2, null,    null,    2,   2,   2, true),
    (  3, '3D',                 '3 sessions',                                   'trading',  'D',   3, null,    null,    3,   3,   3, true),
    (  4, '4D',                 '4 sessions',                                   'trading',  'D',   4, null,    null,    4,   4,   4, true),
    (  5, '5D',                 '5 sessions',                                   'trading',  'D',   5, null,    null,    5,   5,   5, true),
    (  6, '6D',                 '6 sessions',                                   'trading',  'D',   6, null,    null,    6,   6,   6, true),
    (  7, '7D',                 '7 sessions',                                   'trading',  'D',   7, null,    null,    7,   7,   7, true),
    (  8, '8D',                 '8 sessions',                                   'trading',  'D',   8, null,    null,    8,   8,   8, true),
    (  9, '9D',                 '9 sessions',                                   'trading',  'D',   9, null,    null,    9,   9,   9, true),
    ( 10, '10D',                '10 sessions',                                  'trading',  'D',  10, null,    null,   10,  10,  10, true),
    ( 11, '11D',                '11 sessions',                                  'trading',  'D',  11, null,    null,   11,  11,  11, true),
    ( 12, '12D',                '12 sessions',                                  'trading',  'D',  12, null,    null,   12,  12,  12, true),
    ( 13, '13D',                '13 sessions',                                  'trading',  'D',  13, null,    null,   13,  13,  13, true),
    ( 14, '14D',                '14 sessions',                                  'trading',  'D',  14, null,    null,   14,  14,  14, true),
    ( 15, '15D',                '15 sessions',                                  'trading',  'D',  15, null,    null,   15,  15,  15, true),
    ( 16, '16D',                '16 sessions',                                  'trading',  'D',  16, null,    null,   16,  16,  16, true),
    ( 17, '17D',                '17 sessions',                                  'trading',  'D',  17, null,    null,   17,  17,  17, true),
    ( 18, '18D',                '18 sessions',                                  'trading',  'D',  18, null,    null,   18,  18,  18, true),
    ( 19, '19D',                '19 sessions',                                  'trading',  'D',  19, null,    null,   19,  19,  19, true),
    ( 20, '20D',                '20 sessions',                                  'trading',  'D',  20, null,    null,   20,  20,  20, true),
    ( 21, '21D',                '21 sessions',                                  'trading',  'D',  21, null,    null,   21,  21,  21, true),
    ( 22, '22D',                '22 sessions',                                  'trading',  'D',  22, null,    null,   22,  22,  22, true),
    ( 23, '23D',                '23 sessions',                                  'trading',  'D',  23, null,    null,   23,  23,  23, true),
    ( 24, '24D',                '24 sessions',                                  'trading',  'D',  24, null,    null,   24,  24,  24, true),
    ( 25, '25D',                '25 sessions',                                  'trading',  'D',  25, null,    null,   25,  25,  25, true),
    ( 26, '26D',                '26 sessions',                                  'trading',  'D',  26, null,    null,   26,  26,  26, true),
    ( 27, '27D',                '27 sessions',                                  'trading',  'D',  27, null,    null,   27,  27,  27, true),
    ( 28, '28D',                '28 sessions',                                  'trading',  'D',  28, null,    null,   28,  28,  28, true),
    ( 29, '29D',                '29 sessions',                                  'trading',  'D',  29, null,    null,   29,  29,  29, true),
    ( 30, '30D',                '30 sessions',                                  'trading',  'D',  30, null,    null,   30,  30,  30, true),
    ( 31, '31D',                '31 sessions',                                  'trading',  'D',  31, null,    null,   31,  31,  31, true),
    ( 32, '35D',                '35 sessions',                                  'trading',  'D',  35, null,    null,   35,  35,  35, true),
    ( 33, '40D',                '40 sessions',                                  'trading',  'D',  40, null,    null,   40,  40,  40, true),
    ( 34, '42D',                '42 sessions',                                  'trading',  'D',  42, null,    null,   42,  42,  42, true),
    ( 35, '49D',                '49 sessions',                                  'trading',  'D',  49, null,    null,   49,  49,  49, true),
    ( 36, '50D',                '50 sessions',                                  'trading',  'D',  50, null,    null,   50,  50,  50, true),
    ( 37, '56D',                '56 sessions',                                  'trading',  'D',  56, null,    null,   56,  56,  56, true),
    ( 38, '60D',                '60 sessions',                                  'trading',  'D',  60, null,    null,   60,  60,  60, true),
    ( 39, '63D',                '63 sessions',                                  'trading',  'D',  63, null,    null,   63,  63,  63, true),
    ( 40, '70D',                '70 sessions',                                  'trading',  'D',  70, null,    null,   70,  70,  70, true),
    ( 41, '77D',                '77 sessions',                                  'trading',  'D',  77, null,    null,   77,  77,  77, true),
    ( 42, '84D',                '84 sessions',                                  'trading',  'D',  84, null,    null,   84,  84,  84, true),
    ( 43, '90D',                '90 sessions',                                  'trading',  'D',  90, null,    null,   90,  90,  90, true),
    ( 44, '91D',                '91 sessions',                                  'trading',  'D',  91, null,    null,   91,  91,  91, true),
    ( 45, '98D',                '98 sessions',                                  'trading',  'D',  98, null,    null,   98,  98,  98, true),
    ( 46, '100D',               '100 sessions',                                 'trading',  'D', 100, null,    null,  100, 100, 100, true),
    ( 47, '105D',               '105 sessions',                                 'trading',  'D', 105, null,    null,  105, 105, 105, true),
    ( 48, '112D',               '112 sessions',                                 'trading',  'D', 112, null,    null,  112, 112, 112, true),
    ( 49, '119D',               '119 sessions',                                 'trading',  'D', 119, null,    null,  119, 119, 119, true),
    ( 50, '120D',               '120 sessions',                                 'trading',  'D', 120, null,    null,  120, 120, 120, true),
    ( 51, '126D',               '126 sessions',                                 'trading',  'D', 126, null,    null,  126, 126, 126, true),
    ( 52, '133D',               '133 sessions',                                 'trading',  'D', 133, null,    null,  133, 133, 133, true),
    ( 53, '140D',               '140 sessions',                                 'trading',  'D', 140, null,    null,  140, 140, 140, true),
    ( 54, '147D',               '147 sessions',                                 'trading',  'D', 147, null,    null,  147, 147, 147, true),
    ( 55, '150D',               '150 sessions',                                 'trading',  'D', 150, null,    null,  150, 150, 150, true),
    ( 56, '154D',               '154 sessions',                                 'trading',  'D', 154, null,    null,  154, 154, 154, true),
    ( 57, '161D',               '161 sessions',                                 'trading',  'D', 161, null,    null,  161, 161, 161, true),
    ( 58, '168D',               '168 sessions',                                 'trading',  'D', 168, null,    null,  168, 168, 168, true),
    ( 59, '175D',               '175 sessions',                                 'trading',  'D', 175, null,    null,  175, 175, 175, true),
    ( 60, '180D',               '180 sessions',                                 'trading',  'D', 180, null,    null,  180, 180, 180, true),
    ( 61, '182D',               '182 sessions',                                 'trading',  'D', 182, null,    null,  182, 182, 182, true),
    ( 62, '189D',               '189 sessions',                                 'trading',  'D', 189, null,    null,  189, 189, 189, true),
    ( 63, '196D',               '196 sessions',                                 'trading',  'D', 196, null,    null,  196, 196, 196, true),
    ( 64, '200D',               '200 sessions',                                 'trading',  'D', 200, null,    null,  200, 200, 200, true),
    ( 65, '203D',               '203 sessions',                                 'trading',  'D', 203, null,    null,  203, 203, 203, true),
    ( 66, '210D',               '210 sessions',                                 'trading',  'D', 210, null,    null,  210, 210, 210, true),
    ( 67, '217D',               '217 sessions',                                 'trading',  'D', 217, null,    null,  217, 217, 217, true),
    ( 68, '224D',               '224 sessions',                                 'trading',  'D', 224, null,    null,  224, 224, 224, true),
    ( 69, '231D',               '231 sessions',                                 'trading',  'D', 231, null,    null,  231, 231, 231, true),
    ( 70, '238D',               '238 sessions',                                 'trading',  'D', 238, null,    null,  238, 238, 238, true),
    ( 71, '245D',               '245 sessions',                                 'trading',  'D', 245, null,    null,  245, 245, 245, true),
    ( 72, '250D',               '250 sessions',                                 'trading',  'D', 250, null,    null,  250, 250, 250, true),
    ( 73, '252D',               '252 sessions',                                 'trading',  'D', 252, null,    null,  252, 252, 252, true),
    ( 74, '259D',               '259 sessions',                                 'trading',  'D', 259, null,    null,  259, 259, 259, true),
    ( 75, '266D',               '266 sessions',                                 'trading',  'D', 266, null,    null,  266, 266, 266, true),
    ( 76, '273D',               '273 sessions',                                 'trading',  'D', 273, null,    null,  273, 273, 273, true),
    ( 77, '280D',               '280 sessions',                                 'trading',  'D', 280, null,    null,  280, 280, 280, true),
    ( 78, '287D',               '287 sessions',                                 'trading',  'D', 287, null,    null,  287, 287, 287, true),
    ( 79, '294D',               '294 sessions',                                 'trading',  'D', 294, null,    null,  294, 294, 294, true),
    ( 80, '300D',               '300 sessions',                                 'trading',  'D', 300, null,    null,  300, 300, 300, true),
    ( 81, '301D',               '301 sessions',                                 'trading',  'D', 301, null,    null,  301, 301, 301, true),
    ( 82, '308D',               '308 sessions',                                 'trading',  'D', 308, null,    null,  308, 308, 308, true),
    ( 83, '315D',               '315 sessions',                                 'trading',  'D', 315, null,    null,  315, 315, 315, true),
    ( 84, '322D',               '322 sessions',                                 'trading',  'D', 322, null,    null,  322, 322, 322, true),
    ( 85, '329D',               '329 sessions',                                 'trading',  'D', 329, null,    null,  329, 329, 329, true),
    ( 86, '336D',               '336 sessions',                                 'trading',  'D', 336, null,    null,  336, 336, 336, true),
    ( 87, '343D',               '343 sessions',                                 'trading',  'D', 343, null,    null,  343, 343, 343, true),
    ( 88, '350D',               '350 sessions',                                 'trading',  'D', 350, null,    null,  350, 350, 350, true),
    ( 89, '357D',               '357 sessions',                                 'trading',  'D', 357, null,    null,  357, 357, 357, true),
    ( 90, '360D',               '360 sessions',                                 'trading',  'D', 360, null,    null,  360, 360, 360, true),
    ( 91, '364D',               '364 sessions',                                 'trading',  'D', 364, null,    null,  364, 364, 364, true),
    ( 92, '365D',               '365 sessions',                                 'trading',  'D', 365, null,    null,  365, 365, 365, true),
    ( 93, '1W',                 'A trading week',                               'trading',  'W',   1, null,    null,    7,   5,   7, false),
    ( 94, '1D_CAL',             '1 calendar day',                               'calendar', 'D',   1, 'EPOCH', 'CAL',   1,   1,   1, false),
    ( 95, '2D_CAL',             '2 calendar days',                              'calendar', 'D',   2, 'EPOCH', 'CAL',   2,   1,   2, false),
    ( 96, '3D_CAL',             '3 calendar days',                              'calendar', 'D',   3, 'EPOCH', 'CAL',   3,   1,   3, false),
    ( 97, '4D_CAL',             '4 calendar days',                              'calendar', 'D',   4, 'EPOCH', 'CAL',   4,   1,   4, false),
    ( 98, '5D_CAL',             '5 calendar days',                              'calendar', 'D',   5, 'EPOCH', 'CAL',   5,   1,   5, false),
    ( 99, '6D_CAL',             '6 calendar days',                              'calendar', 'D',   6, 'EPOCH', 'CAL',   6,   1,   6, false),
    (100, '7D_CAL',             '7 calendar days',                              'calendar', 'D',   7, 'EPOCH', 'CAL',   7,   1,   7, false),
    (101, '8D_CAL',             '8 calendar days',                              'calendar', 'D',   8, 'EPOCH', 'CAL',   8,   1,   8, false),
    (102, '9D_CAL',             '9 calendar days',                              'calendar', 'D',   9, 'EPOCH', 'CAL',   9,   1,   9, false),
    (103, '10D_CAL',            '10 calendar days',                             'calendar', 'D',  10, 'EPOCH', 'CAL',  10,   1,  10, false),
    (104, '11D_CAL',            '11 calendar days',                             'calendar', 'D',  11, 'EPOCH', 'CAL',  11,   1,  11, false),
    (105, '12D_CAL',            '12 calendar days',                             'calendar', 'D',  12, 'EPOCH', 'CAL',  12,   1,  12, false),
    (106, '13D_CAL',            '13 calendar days',                             'calendar', 'D',  13, 'EPOCH', 'CAL',  13,   1,  13, false),
    (107, '14D_CAL',            '14 calendar days',                             'calendar', 'D',  14, 'EPOCH', 'CAL',  14,   1,  14, false),
    (108, '15D_CAL',            '15 calendar days',                             'calendar', 'D',  15, 'EPOCH', 'CAL',  15,   1,  15, false),
    (109, '16D_CAL',            '16 calendar days',                             'calendar', 'D',  16, 'EPOCH', 'CAL',  16,   1,  16, false),
    (110, '17D_CAL',            '17 calendar days',                             'calendar', 'D',  17, 'EPOCH', 'CAL',  17,   1,  17, false),
    (111, '18D_CAL',            '18 calendar days',                             'calendar', 'D',  18, 'EPOCH', 'CAL',  18,   1,  18, false),
    (112, '19D_CAL',            '19 calendar days',                             'calendar', 'D',  19, 'EPOCH', 'CAL',  19,   1,  19, false),
    (113, '20D_CAL',            '20 calendar days',                             'calendar', 'D',  20, 'EPOCH', 'CAL',  20,   1,  20, false),
    (114, '21D_CAL',            '21 calendar days',                             'calendar', 'D',  21, 'EPOCH', 'CAL',  21,   1,  21, false),
    (115, '22D_CAL',            '22 calendar days',                             'calendar', 'D',  22, 'EPOCH', 'CAL',  22,   1,  22, false),
    (116, '23D_CAL',            '23 calendar days',                             'calendar', 'D',  23, 'EPOCH', 'CAL',  23,   1,  23, false),
    (117, '24D_CAL',            '24 calendar days',                             'calendar', 'D',  24, 'EPOCH', 'CAL',  24,   1,  24, false),
    (118, '25D_CAL',            '25 calendar days',                             'calendar', 'D',  25, 'EPOCH', 'CAL',  25,   1,  25, false),
    (119, '26D_CAL',            '26 calendar days',                             'calendar', 'D',  26, 'EPOCH', 'CAL',  26,   1,  26, false),
    (120, '27D_CAL',            '27 calendar days',                             'calendar', 'D',  27, 'EPOCH', 'CAL',  27,   1,  27, false),
    (121, '28D_CAL',            '28 calendar days',                             'calendar', 'D',  28, 'EPOCH', 'CAL',  28,   1,  28, false),
    (122, '29D_CAL',            '29 calendar days',                             'calendar', 'D',  29, 'EPOCH', 'CAL',  29,   1,  29, false),
    (123, '30D_CAL',            '30 calendar days',                             'calendar', 'D',  30, 'EPOCH', 'CAL',  30,   1,  30, false),
    (124, '31D_CAL',            '31 calendar days',                             'calendar', 'D',  31, 'EPOCH', 'CAL',  31,   1,  31, false),
    (125, '35D_CAL',            '35 calendar days',                             'calendar', 'D',  35, 'EPOCH', 'CAL',  35,   1,  35, false),
    (126, '40D_CAL',            '40 calendar days',                             'calendar', 'D',  40, 'EPOCH', 'CAL',  40,   1,  40, false),
    (127, '42D_CAL',            '42 calendar days',                             'calendar', 'D',  42, 'EPOCH', 'CAL',  42,   1,  42, false),
    (128, '49D_CAL',            '49 calendar days',                             'calendar', 'D',  49, 'EPOCH', 'CAL',  49,   1,  49, false),
    (129, '50D_CAL',            '50 calendar days',                             'calendar', 'D',  50, 'EPOCH', 'CAL',  50,   1,  50, false),
    (130, '56D_CAL',            '56 calendar days',                             'calendar', 'D',  56, 'EPOCH', 'CAL',  56,   1,  56, false),
    (131, '60D_CAL',            '60 calendar days',                             'calendar', 'D',  60, 'EPOCH', 'CAL',  60,   1,  60, false),
    (132, '63D_CAL',            '63 calendar days',                             'calendar', 'D',  63, 'EPOCH', 'CAL',  63,   1,  63, false),
    (133, '70D_CAL',            '70 calendar days',                             'calendar', 'D',  70, 'EPOCH', 'CAL',  70,   1,  70, false),
    (134, '77D_CAL',            '77 calendar days',                             'calendar', 'D',  77, 'EPOCH', 'CAL',  77,   1,  77, false),
    (135, '84D_CAL',            '84 calendar days',                             'calendar', 'D',  84, 'EPOCH', 'CAL',  84,   1,  84, false),
    (136, '90D_CAL',            '90 calendar days',                             'calendar', 'D',  90, 'EPOCH', 'CAL',  90,   1,  90, false),
    (137, '91D_CAL',            '91 calendar days',                             'calendar', 'D',  91, 'EPOCH', 'CAL',  91,   1,  91, false),
    (138, '98D_CAL',            '98 calendar days',                             'calendar', 'D',  98, 'EPOCH', 'CAL',  98,   1,  98, false),
    (139, '100D_CAL',           '100 calendar days',                            'calendar', 'D', 100, 'EPOCH', 'CAL', 100,   1, 100, false),
    (140, '105D_CAL',           '105 calendar days',                            'calendar', 'D', 105, 'EPOCH', 'CAL', 105,   1, 105, false),
    (141, '112D_CAL',           '112 calendar days',                            'calendar', 'D', 112, 'EPOCH', 'CAL', 112,   1, 112, false),
    (142, '119D_CAL',           '119 calendar days',                            'calendar', 'D', 119, 'EPOCH', 'CAL', 119,   1, 119, false),
    (143, '120D_CAL',           '120 calendar days',                            'calendar', 'D', 120, 'EPOCH', 'CAL', 120,   1, 120, false),
    (144, '126D_CAL',           '126 calendar days',                            'calendar', 'D', 126, 'EPOCH', 'CAL', 126,   1, 126, false),
    (145, '133D_CAL',           '133 calendar days',                            'calendar', 'D', 133, 'EPOCH', 'CAL', 133,   1, 133, false),
    (146, '140D_CAL',           '140 calendar days',                            'calendar', 'D', 140, 'EPOCH', 'CAL', 140,   1, 140, false),
    (147, '147D_CAL',           '147 calendar days',                            'calendar', 'D', 147, 'EPOCH', 'CAL', 147,   1, 147, false),
    (148, '150D_CAL',           '150 calendar days',                            'calendar', 'D', 150, 'EPOCH', 'CAL', 150,   1, 150, false),
    (149, '154D_CAL',           '154 calendar days',                            'calendar', 'D', 154, 'EPOCH', 'CAL', 154,   1, 154, false),
    (150, '161D_CAL',           '161 calendar days',                            'calendar', 'D', 161, 'EPOCH', 'CAL', 161,   1, 161, false),
    (151, '168D_CAL',           '168 calendar days',                            'calendar', 'D', 168, 'EPOCH', 'CAL', 168,   1, 168, false),
    (152, '175D_CAL',           '175 calendar days',                            'calendar', 'D', 175, 'EPOCH', 'CAL', 175,   1, 175, false),
    (153, '180D_CAL',           '180 calendar days',                            'calendar', 'D', 180, 'EPOCH', 'CAL', 180,   1, 180, false),
    (154, '182D_CAL',           '182 calendar days',                            'calendar', 'D', 182, 'EPOCH', 'CAL', 182,   1, 182, false),
    (155, '189D_CAL',           '189 calendar days',                            'calendar', 'D', 189, 'EPOCH', 'CAL', 189,   1, 189, false),
    (156, '196D_CAL',           '196 calendar days',                            'calendar', 'D', 196, 'EPOCH', 'CAL', 196,   1, 196, false),
    (157, '200D_CAL',           '200 calendar days',                            'calendar', 'D', 200, 'EPOCH', 'CAL', 200,   1, 200, false),
    (158, '1W_CAL_ISO',         '1 ISO week',                                   'calendar', 'W',   1, null,    'ISO',   7,   7,   7, true),
    (159, '2W_CAL_ISO',         '2 ISO weeks',                                  'calendar', 'W',   2, null,    'ISO',  14,  14,  14, true),
    (160, '3W_CAL_ISO',         '3 ISO weeks',                                  'calendar', 'W',   3, null,    'ISO',  21,  21,  21, true),
    (161, '4W_CAL_ISO',         '4 ISO weeks',                                  'calendar', 'W',   4, null,    'ISO',  28,  28,  28, true),
    (162, '6W_CAL_ISO',         '6 ISO weeks',                                  'calendar', 'W',   6, null,    'ISO',  42,  42,  42, true),
    (163, '8W_CAL_ISO',         '8 ISO weeks',                                  'calendar', 'W',   8, null,    'ISO',  56,  56,  56, true),
    (164, '10W_CAL_ISO',        '10 ISO weeks',                                 'calendar', 'W',  10, null,    'ISO',  70,  70,  70, true),
    (165, '1W_CAL_US',          '1 US week',                                    'calendar', 'W',   1, null,    'US',    7,   7,   7, false),
    (166, '2W_CAL_US',          '2 US weeks',                                   'calendar', 'W',   2, null,    'US',   14,  14,  14, false),
    (167, '3W_CAL_US',          '3 US weeks',                                   'calendar', 'W',   3, null,    'US',   21,  21,  21, false),
    (168, '4W_CAL_US',          '4 US weeks',                                   'calendar', 'W',   4, null,    'US',   28,  28,  28, false),
    (169, '6W_CAL_US',          '6 US weeks',                                   'calendar', 'W',   6, null,    'US',   42,  42,  42, false),
    (170, '8W_CAL_US',          '8 US weeks',                                   'calendar', 'W',   8, null,    'US',   56,  56,  56, false),
    (171, '10W_CAL_US',         '10 US weeks',                                  'calendar', 'W',  10, null,    'US',   70,  70,  70, false),
    (172, '1W_CAL_ANCHOR_ISO',  '1 ISO week, fixed grid',                       'calendar', 'W',   1, 'EPOCH', 'ISO',   7,   1,   7, false),
    (173, '2W_CAL_ANCHOR_ISO',  '2 ISO weeks, fixed grid',                      'calendar', 'W',   2, 'EPOCH', 'ISO',  14,   1,  14, false),
    (174, '3W_CAL_ANCHOR_ISO',  '3 ISO weeks, fixed grid',                      'calendar', 'W',   3, 'EPOCH', 'ISO',  21,   1,  21, false),
    (175, '4W_CAL_ANCHOR_ISO',  '4 ISO weeks, fixed grid',                      'calendar', 'W',   4, 'EPOCH', 'ISO',  28,   1,  28, false),
    (176, '6W_CAL_ANCHOR_ISO',  '6 ISO weeks, fixed grid',                      'calendar', 'W',   6, 'EPOCH', 'ISO',  42,   1,  42, false),
    (177, '8W_CAL_ANCHOR_ISO',  '8 ISO weeks, fixed grid',                      'calendar', 'W',   8, 'EPOCH', 'ISO',  56,   1,  56, false),
    (178, '10W_CAL_ANCHOR_ISO', '10 ISO weeks, fixed grid',                     'calendar', 'W',  10, 'EPOCH', 'ISO',  70,   1,  70, false),
    (179, '1W_CAL_ANCHOR_US',   '1 US week, fixed grid',                        'calendar', 'W',   1, 'EPOCH', 'US',    7,   1,   7, false),
    (180, '2W_CAL_ANCHOR_US',   '2 US weeks, fixed grid',                       'calendar', 'W',   2, 'EPOCH', 'US',   14,   1,  14, false),
    (181, '3W_CAL_ANCHOR_US',   '3 US weeks, fixed grid',                       'calendar', 'W',   3, 'EPOCH', 'US',   21,   1,  21, false),
    (182, '4W_CAL_ANCHOR_US',   '4 US weeks, fixed grid',                       'calendar', 'W',   4, 'EPOCH', 'US',   28,   1,  28, false),
    (183, '6W_CAL_ANCHOR_US',   '6 US weeks, fixed grid',                       'calendar', 'W',   6, 'EPOCH', 'US',   42,   1,  42, false),
    (184, '8W_CAL_ANCHOR_US',   '8 US weeks, fixed grid',                       'calendar', 'W',   8, 'EPOCH', 'US',   56,   1,  56, false),
    (185, '10W_CAL_ANCHOR_US',  '10 US weeks, fixed grid',                      'calendar', 'W',  10, 'EPOCH', 'US',   70,   1,  70, false),
    (186, '1M_CAL',             '1 calendar month',                             'calendar', 'M',   1, null,    'CAL',  30,  28,  31, true),
    (187, '2M_CAL',             '2 calendar months',                            'calendar', 'M',   2, null,    'CAL',  61,  59,  62, true),
    (188, '3M_CAL',             '3 calendar months',                            'calendar', 'M',   3, null,    'CAL',  91,  89,  92, true),
    (189, '4M_CAL',             '4 calendar months',                            'calendar', 'M',   4, null,    'CAL', 122, 120, 123, true),
    (190, '6M_CAL',             '6 calendar months',                            'calendar', 'M',   6, null,    'CAL', 183, 181, 184, true),
    (191, '9M_CAL',             '9 calendar months',                            'calendar', 'M',   9, null,    'CAL', 274, 273, 276, true),
    (192, '12M_CAL',            '12 calendar months',                           'calendar', 'M',  12, null,    'CAL', 365, 365, 366, true),
    (193, '1M_CAL_ANCHOR',      '1 calendar month, within the year',            'calendar', 'M',   1, 'YEAR',  'CAL',  30,   1,  31, false),
    (194, '2M_CAL_ANCHOR',      '2 calendar months, within the year',           'calendar', 'M',   2, 'YEAR',  'CAL',  61,   1,  62, false),
    (195, '3M_CAL_ANCHOR',      '3 calendar months, within the year',           'calendar', 'M',   3, 'YEAR',  'CAL',  91,   1,  92, false),
    (196, '4M_CAL_ANCHOR',      '4 calendar months, within the year',           'calendar', 'M',   4, 'YEAR',  'CAL', 122,   1, 123, false),
    (197, '6M_CAL_ANCHOR',      '6 calendar months, within the year',           'calendar', 'M',   6, 'YEAR',  'CAL', 183,   1, 184, false),
    (198, '1Y_CAL',             '1 calendar year',                              'calendar', 'Y',   1, null,    'CAL', 365, 365, 366, true),
    (199, '1Y_CAL_ANCHOR',      '1 calendar year, from the first, partial one', 'calendar', 'Y',   1, 'YEAR',  'CAL', 365,   1, 366, false)
"""


def upgrade() -> None:
    op.execute("""
        create table timemodel.dim_timeframe (
            tf_id               integer generated by default as identity (start with 200) primary key,
            tf                  text not null unique,
            label               text,
            alignment           text not null check (alignment in ('trading', 'calendar')),
            base_unit           text not null check (base_unit in ('D', 'W', 'M', 'Y')),
            tf_qty              integer not null check (tf_qty > 0),
            anchor              text check (anchor in ('EPOCH', 'YEAR')),
            calendar_scheme     text check (calendar_scheme in ('ISO', 'US', 'CAL')),
            tf_days             integer not null check (tf_days between 1 and 365),
            tf_days_min         integer not null check (tf_days_min >= 1),
            tf_days_max         integer not null check (tf_days_max <= 366),
            is_canonical        boolean not null default false,
            allow_partial_start boolean not null default false,
            allow_partial_end   boolean not null default false,
            sort_order          integer not null default 1000,
            is_active           boolean not null default true,
            constraint dim_timeframe_meaning_key unique nulls not distinct (
                alignment, base_unit, tf_qty, anchor, calendar_scheme
            ),
            constraint bounds_are_in_order check (tf_days_min <= tf_days and tf_days <= tf_days_max),
            constraint scheme_is_of_a_calendar check ((alignment = 'calendar') = (calendar_scheme is not null)),
            constraint anchor_has_a_scheme check (anchor is null or calendar_scheme is not null),
            constraint weeks_have_a_first_day check (
                alignment = 'trading' or (base_unit = 'W') = (calendar_scheme in ('ISO', 'US'))
            ),
            constraint anchor_fits_the_unit check (
                case base_unit
                    when 'D' then alignment = 'trading' or (anchor is not null and anchor = 'EPOCH')
                    when 'W' then anchor is null or anchor = 'EPOCH'
                    when 'M' then anchor is null or (anchor = 'YEAR' and 12 % tf_qty = 0)
                    else anchor is null or anchor = 'YEAR'
                end
            ),
            constraint trading_bars_are_days_or_weeks check (alignment = 'calendar' or base_unit in ('D', 'W')),
            constraint partial_where_anchored check (
                allow_partial_start = (anchor is not null) and (not allow_partial_start or tf_days_min = 1)
            ),
            -- A check that is null passes: every branch is true or false.
            constraint days_fit_the_unit check (
                case
                    when base_unit = 'D' then
                        tf_days = tf_qty
                        and tf_days_max = tf_qty
                        and (allow_partial_start or tf_days_min = tf_qty)
                    when base_unit = 'W' and alignment = 'trading' then
                        tf_days = 7 * tf_qty and tf_days_max = 7 * tf_qty and tf_days_min = 5 * tf_qty
                    when base_unit = 'W' then
                        tf_days = 7 * tf_qty
                        and tf_days_max = 7 * tf_qty
                        and (allow_partial_start or tf_days_min = 7 * tf_qty)
                    when base_unit = 'M' then
                        tf_days = round(tf_qty * 365.25 / 12)
                        and tf_days_max between 30 * tf_qty and 31 * tf_qty
                        and (allow_partial_start or tf_days_min between 28 * tf_qty and tf_days)
                    else
                        tf_qty = 1 and tf_days = 365 and tf_days_max = 366
                        and (allow_partial_start or tf_days_min = 365)
                end
            ),
            constraint name_says_what_it_is check (
                tf = tf_qty::text || base_unit || case
                    when alignment = 'trading' then ''
                    else '_CAL' || case when base_unit <> 'D' and anchor is not null then '_ANCHOR' else '' end
                        || case when base_unit = 'W' then '_' || calendar_scheme else '' end
                end
            )
        )
    """)
    op.execute(f"""
        insert into timemodel.dim_timeframe (
            tf_id, tf, label, alignment, base_unit, tf_qty, anchor, calendar_scheme,
            tf_days, tf_days_min, tf_days_max, is_canonical,
            allow_partial_start, allow_partial_end, sort_order
        )
        select v.*, v.anchor is not null, v.anchor is not null, v.tf_id
        from (values {TIMEFRAMES}) as v (
            tf_id, tf, label, alignment, base_unit, tf_qty, anchor, calendar_scheme,
            tf_days, tf_days_min, tf_days_max, is_canonical
        )
    """)
    op.execute(
        "comment on table timemodel.dim_timeframe is 'What a bar can span: one row per timeframe."
        " An insert is all that a new one takes.'"
    )
    for column, meaning in COMMENTS.items():
        op.execute(f"comment on column timemodel.dim_timeframe.{column} is '{meaning}'")
    op.execute("grant insert, update on timemodel.dim_timeframe to ta_lab2_app")
    op.execute("grant select on timemodel.dim_timeframe to ta_lab2_research")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('timemodel', 'dim_timeframe', 'dim')
    """)
    names = ", ".join(f"t.{column}" for column in COMMENTS)
    op.execute(
        f"create view published.dim_timeframe as select {names} from timemodel.dim_timeframe as t"
    )
    op.execute("comment on view published.dim_timeframe is 'timemodel.dim_timeframe, to be read.'")


def downgrade() -> None:
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("drop view published.dim_timeframe")
    op.execute("drop table timemodel.dim_timeframe")
    op.execute("delete from ta_meta.table_class as c where c.table_name = 'dim_timeframe'")
