"""The inbox, made or taken over from a release in which it was the backend's own."""

import sqlalchemy as sa
from alembic import op

from shared.inbox.inbox import SOURCE_OF_BEFORE

revision = "0001"
down_revision = None

KEY = ["handler", "source", "event_id"]


def upgrade() -> None:
    name = table_name()
    looked_at = sa.inspect(op.get_bind())
    if not looked_at.has_table(name):
        op.create_table(
            name,
            sa.Column("handler", sa.Text(), nullable=False),
            source(),
            sa.Column("event_id", sa.Text(), nullable=False),
            sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint(*KEY, name=f"pk_{name}"),
        )
    elif "source" not in {column["name"] for column in looked_at.get_columns(name)}:
        with op.batch_alter_table(name) as batch:
            batch.add_column(source())
            batch.drop_constraint(f"pk_{name}", type_="primary")
            batch.create_primary_key(f"pk_{name}", KEY)


def source() -> sa.Column[str]:
    """Return the column; a release that knows none writes rows without it after a rollback."""
    return sa.Column("source", sa.Text(), nullable=False, server_default=SOURCE_OF_BEFORE)


def table_name() -> str:
    """Return the name of this service's inbox: the only table that the line of revisions makes."""
    (name,) = op.get_context().opts["target_metadata"].tables
    return str(name)


def downgrade() -> None:
    op.drop_table(table_name())
