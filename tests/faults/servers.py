from tests.unit.search.tracking.test_faults import MlflowServer as MlflowServer
