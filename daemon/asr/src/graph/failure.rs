//! What an error of ONNX Runtime means for the next worker.
//!
//! The runtime has one code for all that a device can do to it, so its texts are what
//! tells a device that is full, which will have room again, from one that is broken.
//! Every call that can fail for want of memory makes its error here.

use crate::AsrError;

/// What the runtime, CUDA and its libraries say when there is no memory, in lower case:
/// the arena twice, CUDA, cuBLAS and cuDNN with cuFFT, and the language they are written in.
const FULL: [&str; 8] = [
    "failed to allocate memory",
    "is smaller than requested bytes",
    "out of memory",
    "out_of_memory",
    "cudaerrormemoryallocation",
    "alloc_failed",
    "allocation_failed",
    "bad_alloc",
];

/// Whether this is the text of a device that has no room.
fn lacks_memory(text: &str) -> bool {
    let text = text.to_lowercase();
    FULL.iter().any(|sign| text.contains(sign))
}

impl AsrError {
    /// A call of a graph that was loaded failed, with `reason` as the runtime has it.
    pub fn of_run(reason: String) -> Self {
        if lacks_memory(&reason) { Self::Memory(reason) } else { Self::Run(reason) }
    }

    /// A device other than the processor cannot be had, or does not take a graph.
    pub fn of_device(reason: String) -> Self {
        if lacks_memory(&reason) { Self::Memory(reason) } else { Self::Device(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What people were shown, from public reports about the runtime; what names their
    /// machines is left out. The last four are what the libraries call it themselves.
    const FULL_DEVICES: [&str; 9] = [
        "Non-zero status code returned while running FusedMatMul node. Name:'MatMul_92_FusedMatMulAndScale' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:331 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 8388608000",
        "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Available memory of 0 is smaller than requested bytes of 135383040",
        "onnxruntime::CudaCall CUDA failure 2: out of memory ; GPU=0 ; hostname=PC ; file=D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_stream_handle.cc ; line=175 ; expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);",
        "Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:114 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = cublasStatus_t; bool THRW = true] CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=PC ; line=164 ; expr=cublasCreate(&cublas_handle_);",
        "failed to alloc 966367744 bytes on host: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cudaErrorMemoryAllocation",
        "std::bad_alloc",
    ];

    const BROKEN_DEVICES: [&str; 7] = [
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=PC ; expr=cudaMemcpy(dst_data, src_data, bytes, cudaMemcpyHostToDevice);",
        "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=PC ; line=73 ; expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream.GetHandle()));",
        "CUDA failure 999: unknown error ; GPU=192915439 ; expr=cudaSetDevice(info_.device_id);",
        "CUDA failure 100: no CUDA-capable device is detected ; GPU=32712 ; hostname=PC ; line=245 ; expr=cudaSetDevice(info_.device_id);",
        "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
        "Non-zero status code returned while running Gemm node. Name:'Gemm_568' Status Message: CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0 ; line=121",
        "Failed to initialize CUDNN Frontend CUDNN_FE failure 8: HEURISTIC_QUERY_FAILED ; GPU=0 ; expr=s_.cudnn_fe_graph->create_execution_plans({heur_mode});",
    ];

    #[test]
    fn a_device_without_room_is_told_from_a_broken_one_when_loading_and_when_running() {
        for text in FULL_DEVICES {
            assert!(matches!(AsrError::of_run(text.into()), AsrError::Memory(_)), "{text}");
            assert!(matches!(AsrError::of_device(text.into()), AsrError::Memory(_)), "{text}");
        }
        for text in BROKEN_DEVICES {
            assert!(matches!(AsrError::of_run(text.into()), AsrError::Run(_)), "{text}");
            assert!(matches!(AsrError::of_device(text.into()), AsrError::Device(_)), "{text}");
        }
    }

    #[test]
    fn the_text_of_the_runtime_is_kept_for_the_person() {
        let shown = AsrError::of_run(FULL_DEVICES[1].into()).to_string();
        assert!(shown.contains("135383040") && shown.contains("memory"), "{shown}");
    }
}
