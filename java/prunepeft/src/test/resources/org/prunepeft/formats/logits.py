"""What Hugging Face's libraries compute from exported files.

    python3 logits.py REQUESTS.json RESULTS.json

A request names "library" (transformers, peft, adapters or merged), "model" and "export" (directories), "prefix" (the encoder's
name in the keys), "labels" (their number) and "inputs" (input_ids, attention_mask and, where the model has types, token_type_ids).
Its result is the last hidden states (transformers) or the logits (all others).
"""

import json
import sys

import torch


def mean(hidden, mask):
    mask = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


class MeanPooled(torch.nn.Module):
    """A linear classifier over the mean of the last hidden states."""

    def __init__(self, path, labels, prefix):
        from transformers import AutoModel

        super().__init__()
        self.prefix, encoder = prefix, AutoModel.from_pretrained(path)
        self.config = encoder.config
        self.add_module(prefix, encoder)
        self.classifier = torch.nn.Linear(encoder.config.hidden_size, labels)

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, **unused):
        inputs = dict(input_ids=input_ids, attention_mask=attention_mask)
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        hidden = getattr(self, self.prefix)(**inputs).last_hidden_state
        return self.classifier(mean(hidden, attention_mask))


def transformers(request, inputs):
    from transformers import AutoModel

    return AutoModel.from_pretrained(request["model"]).eval()(**inputs).last_hidden_state


def peft(request, inputs):
    from peft import PeftModel

    model = MeanPooled(request["model"], request["labels"], request["prefix"])
    return PeftModel.from_pretrained(model, request["export"]).eval()(**inputs)


def adapters(request, inputs):
    from adapters import AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(request["model"])
    name = model.load_adapter(request["export"], use_safetensors=True, set_active=True)
    hidden = model.eval().base_model(**inputs).last_hidden_state
    return model.heads[name]((hidden,), cls_output=mean(hidden, inputs["attention_mask"]))[0]


def merged(request, inputs):
    from safetensors.torch import load_file

    model = MeanPooled(request["export"], request["labels"], request["prefix"])
    unfit = model.load_state_dict(load_file(request["export"] + "/head.safetensors"), strict=False)
    assert not unfit.unexpected_keys, unfit.unexpected_keys
    return model.eval()(**inputs)


def main(requests, results):
    with open(requests, encoding="utf-8") as file:
        requests = json.load(file)
    outputs = []
    with torch.no_grad():
        for request in requests:
            inputs = {name: torch.tensor(rows) for name, rows in request["inputs"].items()}
            outputs.append(globals()[request["library"]](request, inputs).tolist())
    with open(results, "w", encoding="utf-8") as file:
        json.dump(outputs, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
