"""Import of OpenVINO without its telemetry."""

from fer_deploy.privacy import telemetry

with telemetry.openvino_kept_silent():
    import openvino

__all__ = ["openvino"]
