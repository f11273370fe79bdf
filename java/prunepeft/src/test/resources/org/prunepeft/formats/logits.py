"""What Hugging Face's libraries compute from exported files.

    python3 logits.py REQUESTS.json RESULTS.json

A request names "library" (one of the functions below), "model" and "export" (directories), "labels" (their number) and "inputs"
(input_ids, attention_mask and, where the model has types, token_type_ids). Its result is the last hidden states (transformers) or the
logits (all others); the reason, a text, where the library's release computes something else of the model's config.json.
"""

import json
import sys

import torch


def mean(hidden, mask):
    mask = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def head(directory, features):
    """The head that lies apart, of features of texts."""
    from safetensors.torch import load_file

    head = load_file(directory + "/head.safetensors")
    return features @ head["classifier.weight"].T + head["classifier.bias"]


def refuses(load):
    try:
        load()
    except ValueError:
        return
    raise AssertionError("what would compute something else is not refused")


def transformers(request, inputs):
    from transformers import AutoModel

    return AutoModel.from_pretrained(request["model"]).eval()(**inputs).last_hidden_state


def peft(request, inputs):
    from peft import AutoPeftModelForFeatureExtraction, AutoPeftModelForSequenceClassification, PeftModel
    from transformers import AutoModelForSequenceClassification

    export = request["export"]
    refuses(lambda: AutoPeftModelForSequenceClassification.from_pretrained(export))
    classifier = AutoModelForSequenceClassification.from_pretrained(request["model"], num_labels=request["labels"])
    refuses(lambda: PeftModel.from_pretrained(classifier, export))
    hidden = AutoPeftModelForFeatureExtraction.from_pretrained(export).eval()(**inputs).last_hidden_state
    return head(export, mean(hidden, inputs["attention_mask"]))


def adapters(request, inputs):
    from adapters import AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(request["model"])
    name = model.load_adapter(request["export"], use_safetensors=True, set_active=True)
    hidden = model.eval().base_model(**inputs).last_hidden_state
    return model.heads[name]((hidden,), cls_output=mean(hidden, inputs["attention_mask"]))[0]


def merged(request, inputs, **options):
    from transformers import AutoModelForSequenceClassification

    load = AutoModelForSequenceClassification.from_pretrained
    model, info = load(request["export"], trust_remote_code=True, output_loading_info=True, **options)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    if "input_ids_2" in inputs:
        refuses(lambda: model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]))
    return model.eval()(**inputs).logits


def causal(directory):
    """A language model as it is in a directory; attention as it was trained, which is not always the library's choice."""
    from transformers import AutoModelForCausalLM

    load = AutoModelForCausalLM.from_pretrained
    model, info = load(directory, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.eval()


def too_old(request):
    """Why the library's release computes something else of a model, or cannot read it; None: it does neither."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    with open(request["model"] + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    release = tuple(int(number) for number in transformers.__version__.split(".")[:2])
    if config["model_type"] not in CONFIG_MAPPING:
        return f"transformers {transformers.__version__} has no {config['model_type']}"
    if "rope_parameters" in config and release < (5, 0):
        return f"transformers {transformers.__version__} does not read rope_parameters"
    # Its mask has the window in all layers, those too that use_sliding_window and layer_types leave without one.
    if config["model_type"] in ("qwen2", "qwen3") and config.get("sliding_window") and release < (4, 53):
        return f"transformers {transformers.__version__} has Qwen's sliding window in all layers"
    return None


def language_model(request, inputs):
    return too_old(request) or causal(request["export"])(**inputs).logits


def language_classifier(request, inputs):
    return too_old(request) or merged(request, inputs, attn_implementation="eager")


def language_adapter(request, inputs):
    from peft import PeftModel

    reason = too_old(request)
    if reason:
        return reason
    return PeftModel.from_pretrained(causal(request["model"]), request["export"]).eval()(**inputs).logits


def saved_language_adapter(request, inputs):
    """An adapter with random weights, which is saved: of "settings"."""
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    reason = too_old(request)
    if reason:
        return reason
    settings = request["settings"]
    config = AdaLoraConfig if "target_r" in settings else LoraConfig
    model = get_peft_model(causal(request["model"]), config(task_type="CAUSAL_LM", **settings)).eval()
    torch.manual_seed(len(request["model"]))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(request["export"])
    return model(**inputs).logits


def main(requests, results):
    with open(requests, encoding="utf-8") as file:
        requests = json.load(file)
    outputs = []
    with torch.no_grad():
        for request in requests:
            inputs = {name: torch.tensor(rows) for name, rows in request["inputs"].items()}
            output = globals()[request["library"]](request, inputs)
            outputs.append(output if isinstance(output, str) else output.tolist())
    with open(results, "w", encoding="utf-8") as file:
        json.dump(outputs, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
