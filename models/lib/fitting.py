"""Heads of random models, fitted so that their tokens follow what they hear.

A random network says the same thing whatever it hears: what its states share is
larger than what differs between them. Centring a layer on the mean of what comes in
takes away the first, scaling it widens the second until decisions are clear, and a
bias for the blank or the end has tokens come as often as in speech.
"""

import torch

from . import canary, sound

SOUND_SEED, SECONDS = 1, 16
RATE = 2.5  # tokens a second
DURATION_SPREAD = 2.0
ENDS = 0.2  # share of an attention decoder's choices that are the end
REPETITION = 8.0


@torch.no_grad()
def spread(layer, inputs, deviation):
    """Has `layer` give values around 0 with this standard deviation for `inputs` `[N, in]`."""
    weight = layer.weight.view(layer.weight.shape[0], -1)
    raw = inputs @ weight.T
    factor = deviation / (raw - raw.mean(0)).std()
    layer.weight.mul_(factor)
    layer.bias.copy_(-factor * raw.mean(0))


@torch.no_grad()
def bias_for(rate, low, high, measure):
    """The bias between `low` and `high` at which `measure(bias)` falls to `rate`."""
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) > rate else (low, middle)
    return high


@torch.no_grad()
def states(model):
    """Encoder states `[1, D, T]` of a babble and its length in seconds."""
    samples = torch.from_numpy(sound.waveform(sound.babble(SOUND_SEED, SECONDS)))[None]
    length = torch.tensor([samples.shape[1]])
    features, lengths = model.preprocessor(input_signal=samples, length=length)
    encoded, _ = model.encoder(audio_signal=features, length=lengths)
    return encoded


@torch.no_grad()
def ctc(head, encoded):
    """Fits a ConvASRDecoder."""
    layer, frames = head.decoder_layers[0], encoded[0].T
    spread(layer, frames, 4.0)
    blank = layer.bias.shape[0] - 1
    centre = layer.bias[blank].item()

    def tokens(bias):
        layer.bias[blank] = centre + bias
        best = head(encoder_output=encoded)[0].argmax(-1)
        begins = (best[1:] != best[:-1]) & (best[1:] != blank)
        return begins.sum().item() / SECONDS

    # Without any blank the rate can be low again, so the search begins where it is high.
    layer.bias[blank] = centre + bias_for(RATE, 4.0, 40.0, tokens)


@torch.no_grad()
def transducer(model, encoded):
    """Fits joint and predictor of an RNNT or TDT model.

    Half of the joint's units hear, the other half know the last token and speak
    against it: what was just said is not said again, as in a trained model.
    """
    joint, decoder = model.joint, model.decoder
    size, layer = decoder.vocab_size, joint.joint_net[-1]
    for name, weight in decoder.prediction["dec_rnn"].named_parameters():
        if "weight_ih" in name:
            weight.mul_(3.0)
    # Tokens without an order stand for every history.
    history = torch.randint(0, size, (1, 1000))
    predicted, _, _ = decoder(targets=history, target_length=torch.tensor([1000]))
    # The predictor's first output is of the beginning, before any token.
    frames, histories = encoded[0].T, predicted[0].T[1:]
    spread(joint.enc, frames, 1.0)
    spread(joint.pred, histories, 1.0)
    half = joint.enc.weight.shape[0] // 4
    for projection, unused in ((joint.enc, slice(half, None)), (joint.pred, slice(None, half))):
        projection.weight[unused] = 0
        projection.bias[unused] = 0
    spread(layer, torch.relu(joint.enc(frames)), 3.0)
    layer.weight[size + 1 :] *= DURATION_SPREAD / 3.0
    layer.bias[size + 1 :] *= DURATION_SPREAD / 3.0
    known = torch.relu(joint.pred(histories))[:, half:]
    known = torch.cat([known, torch.ones(len(known), 1)], 1)
    last = torch.nn.functional.one_hot(history[0], size).float()
    # Ridge regression from what the predictor knows to the token it was given last.
    against = torch.linalg.solve(known.T @ known + torch.eye(known.shape[1]), known.T @ last).T
    against *= -REPETITION / (known @ against.T)[last.bool()].mean()
    layer.weight[:size, half:] = against[:, :-1]
    layer.bias[:size] += against[:, -1]
    layer.weight[size:, half:] = 0
    centre = layer.bias[size].item()
    lengths = torch.tensor([encoded.shape[2]])

    def tokens(bias):
        layer.bias[size] = centre + bias
        best = model.decoding.rnnt_decoder_predictions_tensor(encoded, lengths, return_hypotheses=True)
        return len(best[0].y_sequence) / SECONDS

    layer.bias[size] = centre + bias_for(RATE, 0.0, 40.0, tokens)


def caught(module, run):
    """What goes into `module` while `run()` runs, as `[N, in]`."""
    inputs = []
    handle = module.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    run()
    handle.remove()
    return torch.cat([x.reshape(-1, x.shape[-1]) for x in inputs])


@torch.no_grad()
def attention(model, encoded):
    """Fits the decoder of an EncDecMultiTaskModel to babbled histories."""
    decoder, classifier = model.transf_decoder.decoder, model.log_softmax.mlp.layer0
    states = model.encoder_decoder_proj(encoded.transpose(1, 2))
    prompt, end = prompt_of(model), model.tokenizer.eos_id
    size = model.tokenizer.vocab_size
    special = torch.tensor([i for i, piece in enumerate(model.tokenizer.ids_to_tokens(list(range(size)))) if piece[0] == "<"])
    said = torch.tensor([i for i in range(1, size) if i not in special])
    histories = said[torch.randint(0, len(said), (24, 40))]
    histories = torch.cat([prompt.expand(24, -1), histories], 1)
    # Every history hears another part, as a stream's window moves.
    begins = torch.randint(0, states.shape[1] - 60, (24,)).tolist()
    heard = torch.cat([states[:, begin : begin + 60] for begin in begins])

    def run():
        return model.transf_decoder(
            input_ids=histories, decoder_mask=torch.ones(histories.shape), encoder_embeddings=heard,
            encoder_mask=torch.ones(heard.shape[:2]),
        )

    for layer in decoder.layers:
        cross = layer.second_sub_layer
        frames = heard.reshape(-1, heard.shape[-1])
        spread(cross.key_net, frames, 1.5)
        spread(cross.value_net, frames, 2.0)
        spread(cross.query_net, caught(cross.query_net, run), 1.5)
        spread(cross.out_projection, caught(cross.out_projection, run), 1.5)
    hidden = run()[:, prompt.shape[1] :].reshape(-1, decoder.final_layer_norm.weight.shape[0])
    raw = hidden @ classifier.weight.T
    # The classifier is the embedding again, so a state is like the token that led to
    # it; a gain below 0 speaks against that token instead of for it.
    factor = -4.0 / (raw - raw.mean(0)).std()
    decoder.final_layer_norm.weight.mul_(factor)
    decoder.final_layer_norm.bias.mul_(factor)
    classifier.bias.copy_(-factor * raw.mean(0))
    classifier.bias[special] = -100.0
    classifier.bias[0] = -100.0
    logits = factor * raw + classifier.bias
    clear = logits[:, said].max(1).values - factor * raw[:, end]
    classifier.bias[end] = clear.quantile(ENDS)


def prompt_of(model):
    """The ids `[1, P]` that the decoder begins with."""
    return model.prompt.encode_dialog([dict(role="user", slots=canary.SLOTS)])["context_ids"][None]


def fit(model, kind):
    """Fits every head of the model."""
    encoded = states(model)
    if kind == "ctc":
        return ctc(model.decoder, encoded)
    if kind == "aed":
        return attention(model, encoded)
    if kind == "hybrid":
        ctc(model.ctc_decoder, encoded)
        model.change_decoding_strategy(decoder_type="rnnt", verbose=False)
    transducer(model, encoded)
