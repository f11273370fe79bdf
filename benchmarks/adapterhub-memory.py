"""adapterhub-memory.py FILE.tsv [MODEL]: trains LoRA and adapters in MiniLM by AdapterHub, one epoch in batches of 32, then predicts 300 texts
one by one; prints the peak's bytes, and to the standard error the median milliseconds of a text.

MODEL: a directory; without it that of the hub, or of transformers' cache."""
import csv
import resource
import statistics
import sys
import time

import adapters
import torch
from adapters import ConfigUnion, LoRAConfig, SeqBnConfig
from transformers import AutoTokenizer, BertTokenizer

NAME = sys.argv[2] if len(sys.argv) > 2 else "sentence-transformers/all-MiniLM-L6-v2"

with open(sys.argv[1]) as file:
    examples = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:1600]
try:
    tokenizer = AutoTokenizer.from_pretrained(NAME)
except Exception:  # the library tokenizers is not there
    tokenizer = BertTokenizer.from_pretrained(NAME)
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

model.eval()
times = []
with torch.no_grad():
    for example in examples[:300]:
        begin = time.perf_counter()
        model(**tokenizer([example["sentence"]], return_tensors="pt")).logits.softmax(-1).tolist()
        times.append(1000 * (time.perf_counter() - begin))
print("AdapterHub: %.2f ms a text, %d threads" % (statistics.median(times), torch.get_num_threads()), file=sys.stderr)
