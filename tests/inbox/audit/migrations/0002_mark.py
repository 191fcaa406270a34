"""A column more, so that the two services stand at different revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("audit_totals", sa.Column("mark", sa.Text()))
