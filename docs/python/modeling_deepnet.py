"""What to_hf.py puts beside a checkpoint, so that transformers' AutoModel finds the network."""
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from .model import DeepNet


class DeepNetConfig(PretrainedConfig):
    model_type = "deepnet"

    def __init__(self, settings=None, shapes=None, **others):
        super().__init__(**others)
        self.settings, self.shapes = settings, shapes


class DeepNetModel(PreTrainedModel):
    config_class = DeepNetConfig
    base_model_prefix = "net"

    def __init__(self, config):
        super().__init__(config)
        self.net = DeepNet(config.settings, config.shapes)
        self.post_init()

    def _init_weights(self, part):
        """All weights come from the checkpoint."""

    def forward(self, input_ids, attention_mask=None, decoder_input_ids=None,
                decoder_attention_mask=None, **others):
        return ModelOutput(logits=self.net(input_ids, attention_mask, decoder_input_ids,
                                           decoder_attention_mask))
