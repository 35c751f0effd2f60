import random, signal, subprocess, time
from harness.operator_process import OperatorProcess
from localcluster.errors import tail

def test_stop(operator):
    operator.stop()
    bad = []
    for n in range(60):
        p = OperatorProcess.begin("controller", config=operator.config, log=operator.log)
        if n % 3 == 0:
            time.sleep(random.uniform(0.6, 3.0))
        else:
            mark = b'"First list done"' if n % 3 == 1 else b'"Leading"'
            end = time.time() + 20
            while time.time() < end:
                if mark in operator.log.read_bytes()[p.log_start:]: break
                time.sleep(0.001)
            time.sleep(random.uniform(0, 0.03))
        t=time.time()
        p.process.send_signal(signal.SIGTERM)
        try:
            rc = p.process.wait(15)
            print(n, rc, round(time.time()-t,2))
            if time.time()-t > 5 or rc not in (0,-15): bad.append((n, rc, operator.log.read_bytes()[p.log_start:].decode()))
        except subprocess.TimeoutExpired:
            p.kill()
            bad.append((n, operator.log.read_bytes()[p.log_start:].decode()))
    for b in bad: print(*b)
    assert not bad
    operator.start()
