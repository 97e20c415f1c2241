"""Tiny models with random weights from a seed: real NeMo classes, no training.

A random network says the same thing whatever it hears. So the layers in front of a
decision are fitted to a babble: centred on the encoder's mean state, scaled until
decisions have clear margins, and biased until tokens come as often as in speech.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from . import fitting, sound, words

SEED = 7


@dataclass(frozen=True)
class Spec:
    """The sizes of a seeded model, none of which a model of models/toy has."""

    kind: str  # hybrid | rnnt | tdt | ctc | aed
    mels: int
    width: int  # d_model
    layers: int
    heads: int
    kernel: int  # conv_kernel_size
    contexts: tuple = ()  # att_context_size of cache-aware models
    durations: tuple = ()  # of TDT
    subsampling: str = "dw_striding"
    factor: int = 8
    predictor: tuple = (24, 1)  # width, LSTM layers
    joint: int = 48
    end_of_utterance: bool = False
    positions: int = 300  # pos_emb_max_len
    seed: int = SEED
    extra: dict = field(default_factory=dict)


SPECS = {
    "hybrid": Spec("hybrid", 128, 20, 2, 2, 7, contexts=((24, 3), (20, 1)), predictor=(16, 2), positions=64),
    "eou": Spec("rnnt", 128, 16, 3, 4, 5, contexts=((12, 2),), end_of_utterance=True, positions=64),
    "ctc": Spec("ctc", 128, 12, 2, 3, 15, subsampling="striding", factor=4, positions=600),
    "rnnt": Spec("rnnt", 80, 16, 2, 4, 7, predictor=(20, 2)),
    "tdt": Spec("tdt", 80, 18, 2, 3, 11, durations=(0, 1, 2, 4)),
    "aed": Spec("aed", 80, 16, 2, 2, 13, predictor=(24, 3), seed=20),
}


# Weights of models that were fitted already, by name: fitting takes longer than building.
FITTED = {}


def preprocessor(spec):
    """NeMo's log-mel front end as every FastConformer has it."""
    return dict(
        _target_="nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
        sample_rate=sound.RATE, normalize="NA" if spec.contexts else "per_feature", window_size=0.025,
        window_stride=0.01, window="hann", features=spec.mels, n_fft=512, frame_splicing=1, dither=1e-5,
        pad_to=0, pad_value=0.0,
    )


def encoder(spec):
    """ConformerEncoder: causal and chunked where the model streams."""
    config = dict(
        _target_="nemo.collections.asr.modules.ConformerEncoder", feat_in=spec.mels, feat_out=-1,
        n_layers=spec.layers, d_model=spec.width, use_bias=True, subsampling=spec.subsampling,
        subsampling_factor=spec.factor, subsampling_conv_channels=6, ff_expansion_factor=2,
        self_attention_model="rel_pos", n_heads=spec.heads, xscaling=bool(spec.contexts), untie_biases=True,
        pos_emb_max_len=spec.positions, conv_kernel_size=spec.kernel, dropout=0.0, dropout_pre_encoder=0.0,
        dropout_emb=0.0, dropout_att=0.0,
    )
    if spec.contexts:
        return config | dict(
            causal_downsampling=True, att_context_size=[list(context) for context in spec.contexts],
            att_context_style="chunked_limited", conv_norm_type="layer_norm", conv_context_size="causal",
        )
    return config | dict(
        causal_downsampling=False, att_context_size=[-1, -1], att_context_style="regular",
        conv_norm_type="batch_norm", conv_context_size=None,
    )


def ctc_head():
    """A CTC head; NeMo fills in the sizes."""
    return dict(_target_="nemo.collections.asr.modules.ConvASRDecoder", feat_in=None, num_classes=-1, vocabulary=[])


def transducer(spec):
    """Predictor, joint and greedy decoding of an RNNT or TDT model."""
    width, layers = spec.predictor
    decoder = dict(
        _target_="nemo.collections.asr.modules.RNNTDecoder", normalization_mode=None, random_state_sampling=False,
        blank_as_pad=True, prednet=dict(pred_hidden=width, pred_rnn_layers=layers, t_max=None, dropout=0.0),
    )
    joint = dict(
        _target_="nemo.collections.asr.modules.RNNTJoint", log_softmax=None, preserve_memory=False,
        fuse_loss_wer=False, jointnet=dict(joint_hidden=spec.joint, activation="relu", dropout=0.0),
    )
    decoding = dict(strategy="greedy_batch", greedy=dict(max_symbols=10), beam=dict(beam_size=2, return_best_hypothesis=False))
    config = dict(decoder=decoder, joint=joint, decoding=decoding, loss=dict(loss_name="default"))
    if spec.durations:
        durations = list(spec.durations)
        joint["num_extra_outputs"] = len(durations)
        decoding.update(model_type="tdt", durations=durations)
        config["loss"] = dict(loss_name="tdt", tdt_kwargs=dict(durations=durations, sigma=0.02, omega=0.1))
    return config


def configuration(spec, tokenizer):
    """The class of a model and its configuration."""
    from nemo.collections.asr import models

    width, _ = spec.predictor
    config = dict(
        sample_rate=sound.RATE, compute_eval_loss=False, log_prediction=False, skip_nan_grad=False,
        model_defaults=dict(enc_hidden=spec.width, pred_hidden=width, joint_hidden=spec.joint),
        tokenizer=dict(dir=str(tokenizer), type="bpe"), preprocessor=preprocessor(spec), encoder=encoder(spec),
        train_ds=None, validation_ds=None, test_ds=None, optim=dict(name="adamw", lr=1e-3),
    )
    if spec.durations:
        config["model_defaults"].update(num_tdt_durations=len(spec.durations), tdt_durations=list(spec.durations))
    if spec.kind == "ctc":
        return models.EncDecCTCModelBPE, config | dict(decoder=ctc_head(), decoding=dict(strategy="greedy_batch"))
    if spec.kind == "aed":
        from . import canary

        return models.EncDecMultiTaskModel, config | canary.configuration(spec, tokenizer)
    config |= transducer(spec)
    if spec.kind == "hybrid":
        config["aux_ctc"] = dict(
            ctc_loss_weight=0.3, use_cer=False, ctc_reduction="mean_batch", decoder=ctc_head(), decoding=dict(strategy="greedy")
        )
        return models.EncDecHybridRNNTCTCBPEModel, config
    return models.EncDecRNNTBPEModel, config


def build(name, folder):
    """The seeded model of that name, fitted, its tokenizer in `folder`."""
    spec = SPECS[name]
    tokenizer = words.tokenizer(Path(folder), spec)
    cls, config = configuration(spec, tokenizer)
    random.seed(spec.seed)
    np.random.seed(spec.seed)
    torch.manual_seed(spec.seed)
    model = quiet(cls(cfg=OmegaConf.create(config)))
    if name in FITTED:
        model.load_state_dict(FITTED[name])
    else:
        fitting.fit(model, spec.kind)
        FITTED[name] = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    trim(model, spec)
    return model


def trim(model, spec):
    """Takes back the table of positions that has grown with what was heard: an export
    has all of it.
    """
    del model.encoder.pos_enc.pe
    model.encoder.set_max_audio_length(spec.positions)


def quiet(model):
    """The model as it is used to recognise: no dropout, no dither, no padding."""
    model.eval()
    model.freeze()
    model.preprocessor.featurizer.dither = 0.0
    model.preprocessor.featurizer.pad_to = 0
    return model
