"""A linear head that compares two texts by ${states} of each, as PrunePEFT for Java trains it."""

import torch
from torch import nn
from transformers import ${class}PreTrainedModel, ${model}
from transformers.modeling_outputs import SequenceClassifierOutput


${pooled}

class ${name}(${class}PreTrainedModel):
    config_class = ${model}.config_class
    base_model_prefix = "${encoder}"

    def __init__(self, config):
        config.use_cache = False  # nothing is generated
        super().__init__(config)
        self.num_labels = config.num_labels
        self.${encoder} = ${model}(config)
        if hasattr(self.${encoder}, "pooler"):
            self.${encoder}.pooler = None  # the head takes its place
        self.classifier = nn.Linear(3 * config.hidden_size + 1, config.num_labels)
        self.post_init()

    def text(self, input_ids, attention_mask, token_type_ids):
        inputs = {}
        if token_type_ids is not None and getattr(self.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = token_type_ids
        outputs = self.${encoder}(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **inputs)
        return pooled(outputs.last_hidden_state, attention_mask)

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        input_ids_2=None,
        attention_mask_2=None,
        token_type_ids_2=None,
        labels=None,
        return_dict=None,
    ):
        if input_ids is None or input_ids_2 is None:
            raise ValueError(
                "the texts of a pair are encoded by themselves: give the second one's input_ids_2 and attention_mask_2"
            )
        u = self.text(input_ids, attention_mask, token_type_ids)
        v = self.text(input_ids_2, attention_mask_2, token_type_ids_2)
        cosine = nn.functional.cosine_similarity(u, v).unsqueeze(1)
        logits = self.classifier(torch.cat([u, v, (u - v).abs(), cosine], 1))
        loss = None
        if labels is not None:
            if self.num_labels == 1:
                loss = nn.functional.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
            else:
                loss = nn.functional.cross_entropy(logits, labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output.to_tuple() if return_dict is False else output
