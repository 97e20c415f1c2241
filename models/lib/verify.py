"""An export against the model it was made of: the same inputs through PyTorch, before
anything was exported, and through ONNX Runtime."""

import torch

from . import exporting

FRAMES = 240  # mel frames of the offline probes


@torch.inference_mode()
def probes(model, family):
    """Calls with their answers: graph, inputs by name, outputs by name."""
    torch.manual_seed(0)
    scheme, _, head = family.rpartition("-")
    if family == "aed":
        return attention(model)
    calls = streaming(model, head) if scheme == "cache-aware" else offline(model, head)
    return calls if head == "ctc" else calls + [transducer(model, calls[0][2]["outputs"])]


def features(model, frames):
    """Random features with the spread of real ones, and their length."""
    return torch.randn(1, model.cfg.preprocessor.features, frames), torch.tensor([frames])


def offline(model, head):
    """An utterance through an offline encoder."""
    signal, length = features(model, FRAMES)
    states, lengths = model.encoder(audio_signal=signal, length=length)
    inputs = dict(audio_signal=signal, length=length)
    if head == "ctc":
        return [("model.onnx", inputs, dict(logprobs=exporting.ctc_head(model)(encoder_output=states)))]
    return [("encoder-model.onnx", inputs, dict(outputs=states, encoded_lengths=lengths))]


def streaming(model, head):
    """Three chunks through a cache-aware encoder, the caches handed on."""
    config = model.encoder.streaming_cfg
    frames = config.chunk_size[1] + config.pre_encode_cache_size[1]
    channel, time, count = model.encoder.get_initial_cache_state(batch_size=1)
    calls = []
    for _ in range(3):
        signal, length = features(model, frames)
        # PyTorch has the layers first, NeMo's exporter the batch.
        inputs = dict(
            audio_signal=signal, length=length, cache_last_channel=channel.transpose(0, 1),
            cache_last_time=time.transpose(0, 1), cache_last_channel_len=count,
        )
        states, lengths, channel, time, count = model.encoder.cache_aware_stream_step(
            processed_signal=signal, processed_signal_length=length, cache_last_channel=channel, cache_last_time=time,
            cache_last_channel_len=count, keep_all_outputs=False, drop_extra_pre_encoded=config.drop_extra_pre_encoded,
        )
        outputs = dict(
            encoded_lengths=lengths, cache_last_channel_next=channel.transpose(0, 1),
            cache_last_time_next=time.transpose(0, 1), cache_last_channel_next_len=count,
        )
        if head == "ctc":
            outputs["logprobs"] = exporting.ctc_head(model)(encoder_output=states)
        else:
            outputs["outputs"] = states
        calls.append(("model.onnx" if head == "ctc" else "encoder-model.onnx", inputs, outputs))
    return calls


def transducer(model, states):
    """Encoder states `[1, D, T]` and a few tokens through predictor and joint."""
    targets = torch.randint(0, model.decoder.vocab_size, (1, 4))
    layers, width = model.decoder.pred_rnn_layers, model.decoder.pred_hidden
    hidden, cell = torch.randn(layers, 1, width), torch.randn(layers, 1, width)
    predicted, (next_hidden, next_cell) = model.decoder.predict(targets, state=[hidden, cell], add_sos=False)
    # The joint gives log probabilities on a CPU, the graph what they are made of.
    asked, model.joint.log_softmax = model.joint.log_softmax, False
    logits = model.joint.joint_after_projection(
        model.joint.project_encoder(states.transpose(1, 2)), model.joint.project_prednet(predicted)
    )
    model.joint.log_softmax = asked
    inputs = dict(
        encoder_outputs=states, targets=targets.int(), target_length=torch.tensor([4], dtype=torch.int32),
        input_states_1=hidden, input_states_2=cell,
    )
    return "decoder_joint-model.onnx", inputs, dict(outputs=logits, output_states_1=next_hidden, output_states_2=next_cell)


def attention(model):
    """An utterance through a Canary's encoder, then its prompt and two more tokens by NeMo's
    own decoder step, whose cache is handed on.
    """
    from . import fitting

    signal, length = features(model, FRAMES)
    states, lengths = model.encoder(audio_signal=signal, length=length)
    states = model.encoder_decoder_proj(states.transpose(1, 2))
    mask = torch.ones(1, int(lengths[0]), dtype=torch.int64)
    calls = [("encoder-model.onnx", dict(audio_signal=signal, length=length), dict(encoder_embeddings=states, encoder_mask=mask))]
    decoding = model.decoding.decoding
    search = decoding.greedy_search if hasattr(decoding, "greedy_search") else decoding.beam_search
    layers = len(model.transf_decoder.decoder.layers)
    tokens, position, mems = fitting.prompt_of(model), 0, torch.zeros(layers + 2, 1, 0, states.shape[-1])
    for step in range(3):
        logits, following, scores = search._one_step_forward(
            tokens, states, mask.float(), list(mems) if step else None, position, return_scores=True
        )
        inputs = dict(input_ids=tokens, encoder_embeddings=states, encoder_mask=mask, decoder_mems=mems)
        following = torch.stack(list(following))
        outputs = dict(logits=logits, decoder_hidden_states=following, xatt=scores[-2].mean(1)[:, -1])
        calls.append(("decoder-model.onnx", inputs, outputs))
        position += tokens.shape[1]
        tokens, mems = torch.tensor([[5 + step]]), following
    return calls


def check(folder, calls):
    """Makes the same calls on ONNX Runtime; gives the largest difference of all."""
    sessions, worst = {}, {}
    for name, inputs, outputs in calls:
        session = sessions.setdefault(name, exporting.session(folder / name))
        arrays = {port: tensor.contiguous().numpy() for port, tensor in inputs.items()}
        ours = dict(zip([port.name for port in session.get_outputs()], session.run(None, arrays)))
        for port, theirs in outputs.items():
            difference = exporting.difference(f"{name}: {port}", theirs, ours[port])
            worst[(name, port)] = max(worst.get((name, port), 0.0), difference)
    for (name, port), largest in worst.items():
        print(f"{name}: {port} differs from PyTorch's by at most {largest:.1e}")
    return max(worst.values())
