"""${message}

Say here why the state of the database changes.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else 'op.execute("""\n    """)'}


def downgrade() -> None:
    ${downgrades if downgrades else 'op.execute("""\n    """)'}
