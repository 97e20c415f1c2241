"""NeMo's own streaming loops, one utterance at a time, and how sure every decision was.

Nothing here decodes by itself: buffers, encoder steps and decoding computers are
NeMo's, driven as its example scripts drive them.
"""

import torch

from . import fitting

FRAME = 160  # samples of a mel frame


class Margins:
    """The smallest lead of a best score over the second best, of all that layers of a
    model said while this was watching.
    """

    def __init__(self):
        self.smallest, self.handles = float("inf"), []

    def watch(self, model):
        """Sees every decision of a model's heads from now on, but for buffered CTC."""
        if hasattr(model, "transf_decoder"):
            self.hook(model.log_softmax.mlp.layer0, lambda scores: self.see(scores[:, -1]))
        if hasattr(model, "ctc_decoder"):
            self.hook(model.ctc_decoder.decoder_layers[0], lambda scores: self.see(scores.transpose(1, 2)))
        if hasattr(model, "joint"):
            choices = model.decoder.vocab_size + 1
            self.hook(model.joint.joint_net[-1], lambda scores: self.see(scores[..., :choices], scores[..., choices:]))
        return self

    def hook(self, layer, see):
        self.handles.append(layer.register_forward_hook(lambda module, inputs, output: see(output)))

    def see(self, *scores):
        """Takes in scores `[..., choices]`."""
        for part in scores:
            if part.numel():
                best = part.float().topk(2, -1).values
                self.smallest = min(self.smallest, (best[..., 0] - best[..., 1]).min().item())

    def end(self):
        """Stops watching; the smallest lead."""
        for handle in self.handles:
            handle.remove()
        return self.smallest


def collapsed(frames, blank):
    """CTC's tokens of the best id of every frame, and the frame each begins in."""
    begins = [t for t, token in enumerate(frames) if token != blank and (t == 0 or frames[t - 1] != token)]
    return [frames[t] for t in begins], begins


@torch.inference_mode()
def features(model, waveform):
    """The log-mel frames `[mels, T]` of a whole recording; the last is padding."""
    signal, length = torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
    return model.preprocessor(input_signal=signal, length=length)[0][0].numpy()


def cache_aware(model, waveform, head):
    """speech_to_text_cache_aware_streaming_infer.py with `pad_and_drop_preencoded`.

    Gives tokens, the encoder frame of each, and per step the mel frames in, the
    encoder frames out and the tokens so far.
    """
    from nemo.collections.asr.parts.utils.streaming_utils import CacheAwareStreamingAudioBuffer

    if hasattr(model, "ctc_decoder"):
        model.change_decoding_strategy(decoder_type=head, verbose=False)
    buffer = CacheAwareStreamingAudioBuffer(model=model, online_normalization=False, pad_and_drop_preencoded=True)
    buffer.append_audio(waveform)
    channel, time, length = model.encoder.get_initial_cache_state(batch_size=1)
    hypotheses = predictions = None
    steps, states = [], []
    for chunk, chunk_length in buffer:
        with torch.inference_mode():
            settings = dict(
                processed_signal=chunk, processed_signal_length=chunk_length, keep_all_outputs=buffer.is_buffer_empty(),
                drop_extra_pre_encoded=model.encoder.streaming_cfg.drop_extra_pre_encoded,
            )
            encoded, encoded_length, *_ = model.encoder.cache_aware_stream_step(
                cache_last_channel=channel.clone(), cache_last_time=time.clone(),
                cache_last_channel_len=length.clone(), **settings,
            )
            predictions, _, channel, time, length, hypotheses = model.conformer_stream_step(
                cache_last_channel=channel, cache_last_time=time, cache_last_channel_len=length,
                previous_hypotheses=hypotheses, previous_pred_out=predictions, return_transcription=True, **settings,
            )
        states.append(encoded[0, :, : int(encoded_length[0])])
        if head == "rnnt":
            tokens = [int(token) for token in hypotheses[0].y_sequence]
            frames = hypotheses[0].timestamp
            frames = [int(t) for t in (frames["timestep"] if isinstance(frames, dict) else frames)]
        else:
            classifier = model.ctc_decoder if hasattr(model, "ctc_decoder") else model.decoder
            tokens, frames = collapsed(predictions[0].tolist(), classifier.num_classes_with_blank - 1)
        steps.append([chunk.shape[-1], int(encoded_length[0]), len(tokens)])
    golden = dict(tokens=tokens, frames=frames, text=text_of(model, tokens), steps=steps)
    return golden, torch.cat(states, 1)


def text_of(model, tokens):
    """The words of tokens, without what only steers a model, such as `<EOU>`."""
    spoken = [token for token in tokens if not model.tokenizer.ids_to_tokens([token])[0].startswith("<")]
    return " ".join(model.tokenizer.ids_to_text(spoken).split())


def sizes(model, seconds):
    """Left, chunk and right context in encoder frames and in samples, as NeMo cuts them."""
    from nemo.collections.asr.parts.utils.streaming_utils import ContextSize

    factor = model.encoder.subsampling_factor
    frames = [int(part * 100.0 / factor) for part in seconds]
    return ContextSize(*frames), ContextSize(*[count * factor * FRAME for count in frames])


def windows(model, waveform, seconds, whole=False):
    """NeMo's left-chunk-right walk: after every step its buffer, where the new audio
    lies, and whether the audio has ended. `whole` never tells the items so, as NeMo's
    script for attention decoders.
    """
    from nemo.collections.asr.parts.utils.streaming_utils import StreamingBatchedAudioBuffer

    _, samples = sizes(model, seconds)
    audio, rest = torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
    buffer = StreamingBatchedAudioBuffer(batch_size=1, context_samples=samples, dtype=torch.float32, device="cpu")
    left, right = 0, min(samples.chunk + samples.right, len(waveform))
    while left < len(waveform):
        new = min(right, len(waveform)) - left
        last = new >= rest
        lengths = torch.where(last, rest, torch.full_like(rest, new))
        told = torch.zeros_like(last) if whole else last
        buffer.add_audio_batch_(
            audio[:, left:right], audio_lengths=lengths, is_last_chunk=right >= len(waveform), is_last_chunk_batch=told
        )
        yield buffer, (left, right), last
        rest = rest - lengths
        left, right = right, min(right + samples.chunk, len(waveform))


def transducer(model, waveform, seconds=None):
    """speech_to_text_streaming_infer_rnnt.py: label looping whose state goes on from
    chunk to chunk; the whole recording at once where `seconds` are missing.
    """
    computer = model.decoding.decoding.decoding_computer
    timed = hasattr(computer, "durations")
    if timed:
        computer.include_duration = True
    golden = dict(tokens=[], frames=[], text="", steps=[], **({"durations": []} if timed else {}))
    state = None
    for states, lengths in encoded_windows(model, waveform, seconds):
        best, *_, state = computer(x=states, out_len=lengths, **({"prev_batched_state": state} if seconds else {}))
        count = int(best.current_lengths[0])
        tokens = best.transcript[0][:count].tolist()
        golden["tokens"] += tokens
        golden["frames"] += best.timestamps[0][:count].tolist()
        golden["steps"].append(tokens)
        if timed:
            golden["durations"] += best.token_durations[0][:count].tolist()
    golden["text"] = text_of(model, golden["tokens"])
    return golden


@torch.inference_mode()
def encoded_windows(model, waveform, seconds):
    """Encoder states `[1, T, D]` from the chunk on, and how many of them are its own.

    A CTC model gives log probabilities `[1, T, V+1]` instead.
    """
    ctc = not hasattr(model, "joint")
    if seconds is None:
        signal = torch.from_numpy(waveform)[None]
        encoded, lengths, *_ = model(input_signal=signal, input_signal_length=torch.tensor([len(waveform)]))
        yield encoded if ctc else encoded.transpose(1, 2), lengths
        return
    frame = model.encoder.subsampling_factor * FRAME
    for buffer, _, _ in windows(model, waveform, seconds):
        encoded, *_ = model(input_signal=buffer.samples, input_signal_length=buffer.context_size_batch.total())
        left = buffer.context_size.subsample(frame).left
        encoded = encoded if ctc else encoded.transpose(1, 2)
        yield encoded[:, left:], buffer.context_size_batch.subsample(frame).chunk


def ctc(model, waveform, seconds=None, margins=None):
    """The same windows with greedy CTC over the frames of all chunks."""
    blank = model.decoder.num_classes_with_blank - 1
    best, steps = [], []
    for scores, lengths in encoded_windows(model, waveform, seconds):
        before = len(collapsed(best, blank)[0])
        if margins:
            margins.see(scores[0, : int(lengths[0])])
        best += scores[0, : int(lengths[0])].argmax(-1).tolist()
        steps.append(collapsed(best, blank)[0][before:])
    tokens, frames = collapsed(best, blank)
    return dict(tokens=tokens, frames=frames, text=text_of(model, tokens), steps=steps)


@torch.inference_mode()
def attention(model, waveform, policy, seconds, wait_k, alignatt_frames):
    """speech_to_text_aed_streaming_infer.py: GreedyBatchedStreamingAEDComputer by
    Wait-k (`waitk`) or AlignAtt (`alignatt`). A step has its new audio in samples and
    its new tokens; `alignment` is what was heard when AlignAtt let a token out. None
    where NeMo gives the recording up because tokens repeat themselves, and we do not.
    """
    from nemo.collections.asr.models.aed_multitask_models import lens_to_mask
    from nemo.collections.asr.parts.submodules.aed_decoding import GreedyBatchedStreamingAEDComputer
    from nemo.collections.asr.parts.submodules.multitask_decoding import AEDStreamingDecodingConfig, MultiTaskDecodingConfig

    if not hasattr(model.decoding.decoding, "greedy_search"):
        model.change_decoding_strategy(MultiTaskDecodingConfig(strategy="greedy"))
        model.eval()
    frames, samples = sizes(model, seconds)
    frame = model.encoder.subsampling_factor * FRAME
    decoding = AEDStreamingDecodingConfig(streaming_policy=policy, waitk_lagging=wait_k, alignatt_thr=alignatt_frames)
    computer = GreedyBatchedStreamingAEDComputer(model, frame_chunk_size=frames.chunk, decoding_cfg=decoding)
    prompt = fitting.prompt_of(model)
    state = computer.initialize_aed_model_state(
        asr_model=model, decoder_input_ids=prompt, batch_size=1, context_encoder_frames=frames,
        chunk_secs=seconds[1], right_context_secs=seconds[2],
    )
    steps, end = [], min(samples.chunk, len(waveform))
    for buffer, (left, right), last in windows(model, waveform, seconds, whole=True):
        state.is_last_chunk_batch = last
        _, length, states, _ = model(input_signal=buffer.samples, input_signal_length=buffer.context_size_batch.total())
        context = buffer.context_size_batch.subsample(frame)
        heard = torch.where(last, length, context.left + context.chunk)
        state.prev_encoder_shift = max(end // frame - frames.left - frames.chunk, 0)
        before = int(state.current_context_lengths[0])
        state = computer(
            encoder_output=states, encoder_output_len=heard,
            encoder_input_mask=lens_to_mask(heard, states.shape[1]).to(states.dtype), prev_batched_state=state,
        )
        now = int(state.current_context_lengths[0])
        steps.append(dict(samples=[left, min(right, len(waveform))], new_tokens=state.pred_tokens_ids[0, before:now].tolist()))
        if not bool(state.active_samples[0]) and not bool(last):
            return None
        end += samples.chunk
    said = slice(prompt.shape[1], int(state.current_context_lengths[0]))
    tokens = state.pred_tokens_ids[0, said].tolist()
    alignment = state.tokens_frame_alignment[0, said].tolist()
    return dict(tokens=tokens, alignment=alignment, text=text_of(model, tokens), steps=steps)
