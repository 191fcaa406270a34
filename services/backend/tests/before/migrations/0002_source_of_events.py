"""An event is identified by its source and its id together."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SOURCE = "/tg_bot"
"""What rows get that a release without sources has written, or writes after a rollback."""


def upgrade() -> None:
    _identify("commands", "uq_commands_source_event_id", ["source", "event_id"])
    _identify("inbox", "pk_inbox", ["handler", "source", "event_id"])


def _identify(table: str, constraint: str, columns: list[str]) -> None:
    """Add the source, and make it a part of what is unique."""
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column("source", sa.Text(), nullable=False, server_default=SOURCE))
        if table == "inbox":
            batch.drop_constraint("pk_inbox", type_="primary")
            batch.create_primary_key(constraint, columns)
        else:
            batch.drop_constraint("uq_commands_event_id", type_="unique")
            batch.create_unique_constraint(constraint, columns)


def downgrade() -> None:
    with op.batch_alter_table("commands") as batch:
        batch.drop_constraint("uq_commands_source_event_id", type_="unique")
        batch.create_unique_constraint("uq_commands_event_id", ["event_id"])
        batch.drop_column("source")
    with op.batch_alter_table("inbox") as batch:
        batch.drop_constraint("pk_inbox", type_="primary")
        batch.create_primary_key("pk_inbox", ["handler", "event_id"])
        batch.drop_column("source")
