"""The data-cleaning pipeline: what is wrong with a data set, as findings, a report and a list of rows to leave out."""

from fer_train.audit.config import AuditConfig
from fer_train.audit.pipeline import Audit, run_audit

__all__ = ["Audit", "AuditConfig", "run_audit"]
