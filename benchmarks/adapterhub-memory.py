"""adapterhub-memory.py FILE.tsv: trains LoRA and adapters in MiniLM by AdapterHub, one epoch in batches of 32; prints the peak's bytes.

The model is that of the hub, or of transformers' cache."""
import csv
import resource
import sys

import adapters
import torch
from adapters import ConfigUnion, LoRAConfig, SeqBnConfig
from transformers import AutoTokenizer

NAME = "sentence-transformers/all-MiniLM-L6-v2"

with open(sys.argv[1]) as file:
    examples = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:1600]
tokenizer = AutoTokenizer.from_pretrained(NAME)
model = adapters.AutoAdapterModel.from_pretrained(NAME)
model.add_classification_head("supernet", num_labels=2)
lora = LoRAConfig(r=32, alpha=32, attn_matrices=["q", "v"])
model.add_adapter("supernet", config=ConfigUnion(lora, SeqBnConfig(reduction_factor=3)))
model.train_adapter("supernet")
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
model.train()
for begin in range(0, len(examples), 32):
    batch = examples[begin : begin + 32]
    inputs = tokenizer([e["sentence"] for e in batch], padding=True, return_tensors="pt")
    model(**inputs, labels=torch.tensor([int(e["label"]) for e in batch])).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
