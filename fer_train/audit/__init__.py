"""Find faults in a data set: findings, a report and a list of rows to leave out of training."""

from fer_train.audit.config import AuditConfig
from fer_train.audit.pipeline import Audit, run_audit

__all__ = ["Audit", "AuditConfig", "run_audit"]
