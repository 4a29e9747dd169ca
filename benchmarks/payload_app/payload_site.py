"""A site whose bank is made up: random rows, as many as its settings say, valid for the federation's agreement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import torch
import yaml
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answer with the bank."""
    agreement = Agreement.from_record(messages.record(message, messages.CONFIG, ConfigRecord), source="the server")
    settings = yaml.safe_load(Path(str(context.node_config["config"])).read_text())
    bank = made_bank(agreement, site=settings["site"], rows=settings["rows"])
    content = {messages.SITE: messages.site_record(bank.sites[0]), **messages.bank_records(bank)}
    return Message(RecordDict(dict(content)), reply_to=message)


def made_bank(agreement: Agreement, *, site: str, rows: int) -> MemoryBank:
    """Normally distributed rows in float16, of one category; equal for equal sites."""
    bank = example_bank(rows=1, dim=agreement.space.dim, site=site, category="part")
    generator = torch.Generator().manual_seed(crc32(site.encode()))
    return replace(
        bank,
        features=torch.randn(rows, agreement.space.dim, generator=generator, dtype=torch.float16),
        row_category=torch.zeros(rows, dtype=torch.int32),
        row_site=torch.zeros(rows, dtype=torch.int32),
        weights=torch.ones(rows),
        space=agreement.space,
        contributions=(replace(bank.contributions[0], patches=rows, rows=rows),),
    )
