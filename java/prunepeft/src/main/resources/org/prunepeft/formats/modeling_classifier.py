"""A linear head over ${states} of a text, as PrunePEFT for Java trains it."""

import torch
from torch import nn
from transformers import ${class}PreTrainedModel, ${model}
from transformers.modeling_outputs import SequenceClassifierOutput


${pooled}

class ${name}(${class}PreTrainedModel):
    config_class = ${model}.config_class
    base_model_prefix = "${encoder}"
    accepts_loss_kwargs = False  # the loss is the mean over a batch, which Trainer then divides by accumulation steps

    def __init__(self, config):
        config.use_cache = False  # nothing is generated
        super().__init__(config)
        self.num_labels = config.num_labels
        self.${encoder} = ${model}(config)
        if hasattr(self.${encoder}, "pooler"):
            self.${encoder}.pooler = None  # the head takes its place
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, return_dict=None, **inputs):
        if token_type_ids is not None and getattr(self.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = token_type_ids
        outputs = self.${encoder}(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **inputs)
        logits = self.classifier(pooled(outputs.last_hidden_state, attention_mask))
        loss = None
        if labels is not None:
            if self.num_labels == 1:
                loss = nn.functional.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
            else:
                loss = nn.functional.cross_entropy(logits, labels)
        output = SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
        return output.to_tuple() if return_dict is False else output
