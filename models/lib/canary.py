"""NeMo's attention encoder-decoder (Canary): its configuration, and the graphs that
NeMo has no exporter for."""

import torch

SLOTS = dict(
    decodercontext="", emotion="<|emo:undefined|>", source_lang="<|en|>", target_lang="<|en|>", pnc="<|pnc|>",
    itn="<|noitn|>", timestamp="<|notimestamp|>", diarize="<|nodiarize|>",
)


def configuration(spec, tokenizer):
    """What EncDecMultiTaskModel needs besides preprocessor and encoder."""
    width, layers = spec.predictor
    return dict(
        label_smoothing=0.0, use_loss_mask_for_prompt=False, prompt_format="canary2",
        prompt_defaults=[dict(role="user", slots=SLOTS)], restore_timestamps_model=False,
        model_defaults=dict(asr_enc_hidden=spec.width, lm_enc_hidden=width, lm_dec_hidden=width),
        transf_decoder=dict(
            _target_="nemo.collections.asr.modules.transformer.get_nemo_transformer", model_name=None,
            pretrained=False, encoder=None, pre_ln_final_layer_norm=True,
            config_dict=dict(
                max_sequence_length=256, num_token_types=0, embedding_dropout=0.0, learn_positional_encodings=False,
                hidden_size=width, inner_size=2 * width, num_layers=layers, num_attention_heads=4, ffn_dropout=0.0,
                attn_score_dropout=0.0, attn_layer_dropout=0.0, hidden_act="relu", pre_ln=True, vocab_size=None,
            ),
        ),
        head=dict(
            _target_="nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier", num_layers=1,
            activation="relu", log_softmax=True, hidden_size=width, num_classes=None, dropout=0.0,
            use_transformer_init=True,
        ),
        loss=dict(
            _target_="nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
            label_smoothing=0.0, pad_id=None,
        ),
        tokenizer=dict(
            dir=str(tokenizer), type="bpe",
            custom_tokenizer=dict(_target_="nemo.collections.common.tokenizers.canary_tokenizer.CanaryBPETokenizer"),
        ),
    )


class Encoder(torch.nn.Module):
    """Features and their length to states `[B, T, D]` and their mask (i64 `[B, T]`)."""

    def __init__(self, model):
        super().__init__()
        self.encoder, self.projection = model.encoder, model.encoder_decoder_proj

    def forward(self, audio_signal, length):
        states, lengths = self.encoder.forward_for_export(audio_signal=audio_signal, length=length)
        states = self.projection(states.transpose(1, 2))
        mask = torch.arange(states.shape[1], device=states.device)[None] < lengths[:, None]
        return states, mask.to(torch.int64)


class Decoder(torch.nn.Module):
    """New tokens `[B, S]` behind those of `decoder_mems` `[L+2, B, T, D]` to logits.

    The mems are the inputs of every layer and of the last norm, as NeMo's
    `TransformerDecoder` keeps them. `xatt` `[B, frames]` is what the last token
    attends to: the mean over the heads of the last layer but one, which is
    `xatt_scores_layer` of NeMo's AlignAtt.
    """

    def __init__(self, model):
        super().__init__()
        self.embedding, self.decoder = model.transf_decoder.embedding, model.transf_decoder.decoder
        self.head = model.log_softmax

    def forward(self, input_ids, encoder_embeddings, encoder_mask, decoder_mems):
        before, new = decoder_mems.shape[2], input_ids.shape[1]
        positions = torch.arange(before, before + new, device=input_ids.device)[None]
        embedded = self.embedding.token_embedding(input_ids) + self.embedding.position_embedding(positions)
        states = self.embedding.layer_norm(embedded)
        seen = torch.arange(before + new)[None, :] <= (before + torch.arange(new))[:, None]
        causal = (~seen).to(torch.float32)[None, None] * -10000.0
        audible = (1.0 - encoder_mask.to(torch.float32))[:, None, None] * -10000.0
        mems, attention = [torch.cat([decoder_mems[0], states], 1)], []
        for i, layer in enumerate(self.decoder.layers):
            states, scores = layer(states, causal, mems[-1], encoder_embeddings, audible)
            attention.append(scores["xatt_scores"])
            mems.append(torch.cat([decoder_mems[i + 1], states], 1))
        states = self.decoder.final_layer_norm(states)
        mems.append(torch.cat([decoder_mems[len(self.decoder.layers) + 1], states], 1))
        with self.head.with_log_softmax_enabled(True) as classifier:
            logits = classifier.forward(hidden_states=states[:, -1:])
        return logits, torch.stack(mems, 0), attention[-2].mean(1)[:, -1]


class WithoutAttention(torch.nn.Module):
    """A decoder that keeps its cross-attention to itself, as most exports do."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids, encoder_embeddings, encoder_mask, decoder_mems):
        return self.decoder(input_ids, encoder_embeddings, encoder_mask, decoder_mems)[:2]


def export(model, folder, attention=True):
    """Writes `encoder-model.onnx` and `decoder-model.onnx` in onnx-asr's layout.

    NeMo's EncDecMultiTaskModel cannot be exported by itself, and its decoder only
    without the classifier; the names of the tensors are those of onnx-asr's exports.
    """
    from nemo.core.classes.common import typecheck

    model.encoder._prepare_for_export(noreplace=True)
    encoder, decoder = Encoder(model), Decoder(model) if attention else WithoutAttention(Decoder(model))
    features, length = torch.randn(1, model.cfg.preprocessor.features, 300), torch.tensor([260])
    with torch.no_grad(), typecheck.disable_checks():
        states, mask = encoder(features, length)
        mems = torch.randn(len(model.transf_decoder.decoder.layers) + 2, 1, 4, states.shape[-1])
        write(
            encoder, (features, length), folder / "encoder-model.onnx", dict(audio_signal={0: "batch", 2: "time"}, length={0: "batch"}),
            dict(encoder_embeddings={0: "batch", 1: "frames"}, encoder_mask={0: "batch", 1: "frames"}),
        )
        outputs = dict(logits={0: "batch"}, decoder_hidden_states={1: "batch", 2: "mems_next"})
        if attention:
            outputs["xatt"] = {0: "batch", 1: "frames"}
        inputs = dict(
            input_ids={0: "batch", 1: "seq"}, encoder_embeddings={0: "batch", 1: "frames"},
            encoder_mask={0: "batch", 1: "frames"}, decoder_mems={1: "batch", 2: "mems"},
        )
        tokens = torch.tensor([[3, 5, 7]])
        write(decoder, (tokens, states, mask, mems), folder / "decoder-model.onnx", inputs, outputs)


def write(module, example, path, inputs, outputs):
    """Traces `module`; `inputs` and `outputs` name the tensors and their open dimensions."""
    torch.onnx.export(
        module, example, str(path), input_names=list(inputs), output_names=list(outputs), dynamic_axes=inputs | outputs,
        opset_version=17, dynamo=False,
    )
