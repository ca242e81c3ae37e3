# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands for the kernels, disks and power switches of a cluster in network namespaces, and the oracle of its tests.

The test build of lunwardd (doors/) reaches it over a socket: a JSON object a line each way. Device-mapper and DRBD's run-time state end with
a node's power; logical volumes and DRBD's metadata stay. Every device is a file below <folder>/<node>/, disks are read from there when a
node boots. DRBD as far as the agent can tell: roles, connections, generations (`history`: the identifiers of the data generations a copy
has seen; a primary that goes on alone begins a new one), resyncs, and the question of the handler, asked by the real drbd-fence-peer.

The oracle looks at each open, close, promotion and demotion, at once: `violations` has what must never be
  - one volume's gate open on two nodes with power, one resource primary on two,
  - a copy promoted that lacks a generation another copy has,
  - a split brain,
  - a gate open for longer than QUORUM_BOUND_S on a node whose network reaches no majority.
All is logged to <folder>/world.log with monotonic times. `fail` and `hang` make operations go wrong.
"""
import errno
import json
import os
import queue
import re
import socketserver
import threading
import time

TEMPLATE = "lunward.template"
TEMPLATE_ERROR_SECTORS = 1 << 42
DM_MAJOR, DRBD_MAJOR, SHARED_MAJOR = 254, 147, 8
LOSS_S = 1.0  # until DRBD notices that its peer is gone
CONNECT_S = 0.2
RESYNC_S = 0.4
TICK_S = 0.05
WATCHDOG = "/dev/watchdog"
WATCHDOG_MAX_S = 60
QUORUM_BOUND_S = 20  # Corosync notices within 4 s; the machine may be busy
NEVER_S = 3600
HANDLER_YES = 4  # HANDLER_EXIT_OUTDATED


class Refused(Exception):
    def __init__(self, code, text=""):
        super().__init__(text or os.strerror(code))
        self.code = code


class Fault:
    """One way in which an operation goes wrong: `times` times, on a node or all."""

    def __init__(self, op, node, times, code, delay_s, match=""):
        self.op, self.node, self.left, self.code, self.delay_s, self.match = op, node, times, code, delay_s, match
        self.hit = threading.Event()
        self.released = threading.Event()

    def release(self):
        self.left = 0
        self.released.set()


class Watchdog:
    """Of one machine. It ticks on when who has it open dies, and ends with the machine's power."""

    def __init__(self):
        self.holder = None  # a process
        self.timeout_s, self.fires_at = 0, None  # None: it does not tick
        self.opened = 0

    def is_held(self):
        return self.holder is not None and os.path.exists(f"/proc/{self.holder}")

    def pet(self):
        self.fires_at = time.monotonic() + self.timeout_s


class Machine:
    """One node: what its kernel and its disks have."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        for kind in ("dm", "lv", "drbd"):
            os.makedirs(os.path.join(folder, kind), exist_ok=True)
        self.on = False
        self.boots = 0
        self.alone_since = None
        self.bad_disks = set()  # resources whose disk cannot be read here, until it is mended
        self.thin_pools = {}  # "vg/pool" -> percent of data and of metadata in use
        self.listeners = []
        self.forget()

    def forget(self):
        self.dm = {}
        self.dog = Watchdog()
        self.next_minor = 1
        self.standalone = {}  # resource -> bool, while it is up
        self.suspended = set()
        self.volumes = {}  # minor -> Volume, while attached
        self.lvs = {f: self.load("lv", f) for f in os.listdir(os.path.join(self.folder, "lv")) if not f.endswith("+")}

    def file(self, kind, name):
        return os.path.join(self.folder, kind, name)

    def save(self, kind, name, value):
        path = self.file(kind, name)
        if value is None:
            if os.path.exists(path):
                os.unlink(path)
            return
        with open(path + "+", "w", encoding="utf-8") as f:
            json.dump(value, f)
        os.rename(path + "+", path)

    def load(self, kind, name):
        try:
            with open(self.file(kind, name), encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def boot(self):
        for name in os.listdir(os.path.join(self.folder, "dm")):
            os.unlink(self.file("dm", name))
        self.forget()
        self.boots += 1
        # As an earlier life of the agent, or a kernel that boots with it, leaves it: the loop device below is not the test's matter.
        self.dm[TEMPLATE] = {"uuid": "LUNWARD.template", "minor": 0, "suspended": False, "inactive": None,
                             "live": [[0, 8, "linear", "7:0 0"], [8, TEMPLATE_ERROR_SECTORS, "error", ""]]}
        self.on = True

    def holds(self, number):
        return any(line[3].split(" ")[0] == number for d in self.dm.values() for t in (d["live"], d["inactive"]) for line in t or ())

    def resource_volumes(self, resource):
        return [v for v in self.volumes.values() if v.resource == resource]

    def is_primary(self, resource):
        return any(v.primary for v in self.resource_volumes(resource))


class Volume:
    """An attached DRBD volume on one machine."""

    def __init__(self, machine, minor, resource, number):
        self.machine, self.minor, self.resource, self.number = machine, minor, resource, number
        self.primary = False
        self.sync = None  # "SyncSource", "SyncTarget"
        meta = machine.load("drbd", str(minor))
        if meta is None:
            raise Refused(errno.EREMOTEIO, "No valid meta data found")
        self.disk, self.history, self.peer_outdated = meta["disk"], meta["history"], meta["peer_outdated"]
        if self.disk == "UpToDate" and not self.peer_outdated:
            self.disk = "Consistent"

    def save(self):
        self.machine.save("drbd", str(self.minor), {
            "disk": "UpToDate" if self.disk == "Consistent" else self.disk, "history": self.history, "peer_outdated": self.peer_outdated})


def is_prefix(shorter, longer):
    return longer[:len(shorter)] == shorter


class World:
    def __init__(self, folder, names, can_reach, power_off, ask_handler):
        """can_reach(a, b): a packet of a gets to b. power_off(name): ends what runs there. ask_handler(name, resource): its exit status."""
        self.folder = str(folder)
        self.socket = os.path.join(self.folder, "world.socket")
        self.can_reach, self.power_off_node, self.ask_handler = can_reach, power_off, ask_handler
        self.lock = threading.RLock()
        self.machines = {name: Machine(name, os.path.join(self.folder, name, "world")) for name in names}
        self.pairs = {}  # resource -> {"nodes", "connected", "count", "since"}
        self.shared = {}
        self.addresses = {}  # of replication: address -> node
        self.faults = []
        self.violations = []
        self.fenced = []
        self.bitten = []  # machines whose watchdog has fired
        self.deaf = set()  # machines whose next disk, attached over a connection that is there, never hears of its peer
        self.opened = {}  # gate -> how many times
        self.pool_looks = {}  # node -> how many times it has asked a thin pool
        self.generation = 0
        self.closing = threading.Event()
        self.log_file = open(os.path.join(self.folder, "world.log"), "a", encoding="utf-8")
        world = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    world.serve(self.rfile, self.wfile)
                except (OSError, ValueError):
                    pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self.server = Server(self.socket, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
        threading.Thread(target=self.tick_forever, daemon=True).start()

    def close(self):
        self.closing.set()
        self.forget_faults()
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            self.log_file.close()

    def note(self, node, what):
        if not self.log_file.closed:
            self.log_file.write(f"{time.monotonic():.3f} {node} {what}\n")
            self.log_file.flush()

    def violation(self, text):
        self.violations.append(text)
        self.note("-", "VIOLATION: " + text)

    # --- faults -----------------------------------------------------------------------------------------------------------

    def fail(self, op, node=None, times=NEVER_S, code=errno.EIO, match=""):
        return self._plan(Fault(op, node, times, code, 0, match))

    def delay(self, op, seconds, node=None, times=NEVER_S, code=0, match=""):
        """Takes that long, or until release(); then fails if a code is given."""
        return self._plan(Fault(op, node, times, code, seconds, match))

    def hang(self, op, node=None, times=1, match=""):
        return self.delay(op, NEVER_S, node, times, match=match)

    def forget_faults(self):
        for fault in self.faults:
            fault.release()
        self.faults = []

    def _plan(self, fault):
        with self.lock:
            self.faults.append(fault)
        return fault

    def _meet_faults(self, op, node, name):
        with self.lock:
            fault = next((f for f in self.faults if f.op == op and f.left > 0 and f.node in (None, node) and f.match in name), None)
            if fault:
                fault.left -= 1
                self.note(node, f"{op} {name}: as planned, {'fails' if fault.code else 'late'}")
        if fault:
            fault.hit.set()
            fault.released.wait(fault.delay_s)
            if fault.code:
                raise Refused(fault.code, "as the test wants it")

    # --- serving ----------------------------------------------------------------------------------------------------------

    def serve(self, rfile, wfile):
        for line in rfile:
            request = json.loads(line)
            machine = self.machines.get(request.get("node"))
            boot = machine.boots if machine else 0
            if request["op"] == "drbd_events":
                self.serve_events(machine, wfile)
                return
            try:
                reply = self.perform(machine, boot, request) or {}
                reply.setdefault("rc", 0)
            except Refused as e:
                reply = {"rc": -e.code, "text": str(e)}
            wfile.write(json.dumps(reply).encode() + b"\n")
            wfile.flush()

    def perform(self, machine, boot, request):
        op = request["op"]
        name = str(request.get("name", request.get("minor", request.get("plug", request.get("resource", request.get("lv", ""))))))
        self._meet_faults(op, machine.name, name)
        with self.lock:
            if not machine.on or machine.boots != boot:
                raise Refused(errno.EIO, "no power")
            fn = getattr(self, "op_" + op)
        if op in ("drbd_primary", "fence"):  # these wait for others
            return fn(machine, request)
        with self.lock:
            if not machine.on or machine.boots != boot:
                raise Refused(errno.EIO, "no power")
            return fn(machine, request)

    # --- power ------------------------------------------------------------------------------------------------------------

    def power_on(self, name):
        with self.lock:
            self.machines[name].boot()
            self.note(name, "power on")

    def power_off(self, name):
        """As the fence device does it: what runs there is dead when this returns."""
        with self.lock:
            machine = self.machines[name]
            machine.on = False
            machine.forget()
            for listener in machine.listeners:
                listener.put(None)
            self.note(name, "power off")
        self.power_off_node(name)

    def op_fence(self, machine, request):
        self.note(machine.name, f"fence {request['action']} {request['plug']}")
        if request["action"] == "off":
            self.power_off(request["plug"])
            with self.lock:
                self.fenced.append(request["plug"])

    # --- device-mapper ----------------------------------------------------------------------------------------------------

    @staticmethod
    def is_open(device):
        return device["live"] is not None and len(device["live"]) == 1 and device["live"][0][2] == "linear"

    def open_gates(self, name=None):
        """{gate: [nodes]} with power on which it is open now."""
        with self.lock:
            gates = {}
            for machine in self.machines.values():
                for gate, device in machine.dm.items() if machine.on else ():
                    if gate != TEMPLATE and self.is_open(device) and name in (None, machine.name):
                        gates.setdefault(gate, []).append(machine.name)
            return gates

    def device(self, machine, request):
        if request["name"] not in machine.dm:
            raise Refused(errno.ENXIO)
        return machine.dm[request["name"]]

    def op_dm_inspect(self, machine, request):
        device = machine.dm.get(request["name"])
        if not device:
            return {"exists": False}
        return {"exists": True, "uuid": device["uuid"], "minor": device["minor"], "suspended": device["suspended"],
                "live": device["live"], "inactive": device["inactive"] is not None}

    def op_dm_list(self, machine, request):
        return {"names": list(machine.dm)}

    def op_dm_create(self, machine, request):
        if request["name"] in machine.dm:
            raise Refused(errno.EBUSY)
        machine.dm[request["name"]] = {"uuid": request["uuid"], "minor": machine.next_minor, "suspended": False, "live": None,
                                       "inactive": None}
        machine.next_minor += 1

    def op_dm_load(self, machine, request):
        device = self.device(machine, request)
        for _, length, kind, params in request["lines"]:
            if length <= 0 or kind not in ("linear", "error", "delay"):
                raise Refused(errno.EINVAL)
            major, _, rest = params.partition(":")
            if kind != "error" and int(major) == DRBD_MAJOR:
                volume = machine.volumes.get(int(rest.split(" ")[0]))
                if not volume:
                    raise Refused(errno.ENXIO)
                if not volume.primary:
                    raise Refused(errno.EROFS)
        device["inactive"] = request["lines"]

    def op_dm_clear(self, machine, request):
        self.device(machine, request)["inactive"] = None

    def op_dm_suspend(self, machine, request):
        device = self.device(machine, request)
        if device["live"] is None:
            raise Refused(errno.EINVAL)
        device["suspended"] = True

    def op_dm_resume(self, machine, request):
        device, name = self.device(machine, request), request["name"]
        was_open = self.is_open(device)
        if device["inactive"] is not None:
            device["live"], device["inactive"] = device["inactive"], None
        elif device["live"] is None:
            raise Refused(errno.EINVAL)
        device["suspended"] = False
        machine.save("dm", name, device)
        now_open = self.is_open(device)
        if now_open != was_open:
            self.note(machine.name, f"{name} {'open' if now_open else 'shut: ' + device['live'][0][2]}")
        if now_open:
            self.opened[name] = self.opened.get(name, 0) + (not was_open)
            others = [n for n in self.open_gates().get(name, []) if n != machine.name]
            if others:
                self.violation(f"{name} is open on {machine.name} and on {others}")

    def op_dm_remove(self, machine, request):
        self.device(machine, request)
        del machine.dm[request["name"]]
        machine.save("dm", request["name"], None)

    def op_dm_number(self, machine, request):
        path = request["name"]
        if path.startswith("/dev/mapper/"):
            device = machine.dm.get(path[len("/dev/mapper/"):])
            if not device:
                raise Refused(errno.ENOENT)
            return {"text": f"{DM_MAJOR}:{device['minor']}"}
        if path.startswith("/dev/drbd"):
            if int(path[len("/dev/drbd"):]) not in machine.volumes:
                raise Refused(errno.ENOENT)
            return {"text": f"{DRBD_MAJOR}:{path[len('/dev/drbd'):]}"}
        return {"text": f"{SHARED_MAJOR}:{self.shared.setdefault(path, len(self.shared))}"}

    def op_dm_path(self, machine, request):
        number = request["name"].split(" ")[0]
        if number.startswith(f"{DRBD_MAJOR}:"):
            return {"text": "/dev/drbd" + number.split(":")[1]}
        return {"text": "/dev/fake" + number.replace(":", "-")}

    def op_dm_flush(self, machine, request):
        number = request["name"].split(" ")[0]
        if number.startswith(f"{DRBD_MAJOR}:") and int(number.split(":")[1]) not in machine.volumes:
            raise Refused(errno.ENXIO)

    # --- the watchdog -----------------------------------------------------------------------------------------------------

    def op_watchdog_open(self, machine, request):
        dog = machine.dog
        if request["name"] != WATCHDOG:
            raise Refused(errno.ENOENT)
        if dog.is_held():
            raise Refused(errno.EBUSY)
        dog.opened += 1
        if request["timeout_s"] > WATCHDOG_MAX_S:
            dog.timeout_s = WATCHDOG_MAX_S
            dog.pet()
            if request["may_disarm"]:
                dog.fires_at = None
            raise Refused(errno.ERANGE)
        dog.holder, dog.timeout_s = request["pid"], request["timeout_s"]
        dog.pet()
        self.note(machine.name, f"watchdog open, {dog.timeout_s} s")

    def op_watchdog_pet(self, machine, request):
        if request["name"] != WATCHDOG or not machine.dog.is_held():
            raise Refused(errno.EBADF)
        machine.dog.pet()

    def op_watchdog_close(self, machine, request):
        machine.dog.holder = None
        if request["disarm"]:
            machine.dog.fires_at = None
        self.note(machine.name, f"watchdog closed, {'disarmed' if request['disarm'] else 'ticks on'}")

    def watch_dogs(self):
        with self.lock:
            bites = [m.name for m in self.machines.values() if m.on and m.dog.fires_at and time.monotonic() > m.dog.fires_at]
        for name in bites:
            self.note(name, "watchdog fires")
            self.power_off(name)
            self.bitten.append(name)

    # --- logical volumes --------------------------------------------------------------------------------------------------

    def op_lvm_load(self, machine, request):
        prefix = request["vg"] + "."
        return {"lvs": {name[len(prefix):]: lv for name, lv in machine.lvs.items() if name.startswith(prefix)}}

    def op_lvm_create(self, machine, request):
        name = f"{request['vg']}.{request['lv']}"
        if name in machine.lvs:
            raise Refused(errno.EEXIST)
        machine.lvs[name] = {"size": request["size"], "blank": True, "active": True}
        if "thin_pool" in request:
            if f"{request['vg']}/{request['thin_pool']}" not in machine.thin_pools:
                raise Refused(errno.ENOENT)
            machine.lvs[name]["thin_pool"] = request["thin_pool"]
        machine.save("lv", name, machine.lvs[name])

    def op_lvm_clear_blank(self, machine, request):
        name = f"{request['vg']}.{request['lv']}"
        machine.lvs[name]["blank"] = False
        machine.save("lv", name, machine.lvs[name])

    def op_lvm_thin_pool(self, machine, request):
        if request["lv"] not in machine.thin_pools:
            raise Refused(errno.ENOENT)
        self.pool_looks[machine.name] = self.pool_looks.get(machine.name, 0) + 1
        return dict(zip(("data", "metadata"), machine.thin_pools[request["lv"]]))

    def op_lvm_activate(self, machine, request):
        pass

    # --- DRBD -------------------------------------------------------------------------------------------------------------

    def volume(self, machine, request):
        volume = machine.volumes.get(request["minor"])
        if not volume:
            raise Refused(errno.ENODEV, f"drbd{request['minor']}: Device minor not allocated")
        return volume

    def peer(self, machine, resource):
        return next((self.machines[n] for n in self.pairs[resource]["nodes"] if n != machine.name), None)

    def is_connected(self, resource):
        return self.pairs[resource]["connected"]

    def peer_volume(self, volume):
        peer = self.peer(volume.machine, volume.resource)
        return peer.volumes.get(volume.minor) if peer else None

    def new_generation(self, volume):
        self.generation += 1
        volume.history = volume.history + [self.generation]
        volume.save()

    def op_drbd_nothing(self, machine, request):
        self.volume(machine, request)

    def op_drbd_create_metadata(self, machine, request):
        if request["minor"] in machine.volumes:
            raise Refused(errno.EREMOTEIO, f"Device '{request['minor']}' is configured!")
        machine.save("drbd", str(request["minor"]), {"disk": "Inconsistent", "history": [], "peer_outdated": False})

    def op_drbd_adjust(self, machine, request):
        resource = request["resource"]
        path = os.path.join(self.folder, machine.name, "etc/drbd.d", resource + ".res")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        addresses = re.findall(r"address \w+ \[?([0-9a-f.:]+?)\]?:(\d+);", text)
        for number, minor in re.findall(r"volume (\d+) \{\s+device \S+ minor (\d+);", text):
            if resource in machine.bad_disks:
                raise Refused(errno.EIO, f"Command 'drbdsetup attach {minor}' terminated with exit code 20")
            if int(minor) not in machine.volumes:
                volume = machine.volumes[int(minor)] = Volume(machine, int(minor), resource, int(number))
                if machine.name in self.deaf and self.pairs.get(resource, {}).get("connected"):
                    self.deaf.remove(machine.name)
                    self.note(machine.name, f"{resource}/{number} negotiates")
                    volume.disk = "Negotiating"
        for volume in machine.resource_volumes(resource):
            if volume.disk == "Diskless":
                self.attach_again(volume)
        pair = self.pairs.setdefault(resource, {"connected": False, "count": 0, "since": None})
        pair["nodes"] = [self.addresses[a] for a, _ in addresses]
        pair["port"] = int(addresses[0][1])
        machine.standalone[resource] = False
        self.tell(resource)

    def fail_disk(self, name, resource):
        """Its I/O fails, and DRBD lets go of it (on-io-error detach). What a primary writes there from now on its peer alone has."""
        with self.lock:
            machine = self.machines[name]
            machine.bad_disks.add(resource)
            self.note(name, f"{resource}: the disk fails")
            for volume in machine.resource_volumes(resource):
                volume.disk, volume.sync = "Diskless", None
                if volume.primary and self.is_connected(resource):
                    self.new_generation(self.peer_volume(volume))
            self.tell(resource)

    def mend_disk(self, name, resource):
        """What was written before it failed can be read again."""
        with self.lock:
            self.machines[name].bad_disks.discard(resource)

    def attach_again(self, volume):
        found = Volume(volume.machine, volume.minor, volume.resource, volume.number)
        volume.disk, volume.history, volume.peer_outdated = found.disk, found.history, found.peer_outdated
        self.note(volume.machine.name, f"{volume.resource}/{volume.number} attached again")
        if self.is_connected(volume.resource):
            self.compare(volume, self.peer_volume(volume))

    def op_drbd_detach(self, machine, request):
        volume = self.volume(machine, request)
        self.note(machine.name, f"{volume.resource}/{volume.number} detached")
        volume.disk = "Diskless"
        self.tell(volume.resource)

    def op_drbd_secondary(self, machine, request):
        volume = self.volume(machine, request)
        if machine.holds(f"{DRBD_MAJOR}:{volume.minor}"):
            raise Refused(errno.EBUSY, f"drbd{volume.minor}: Device is held open by someone")
        if volume.primary:
            volume.primary = False
            self.note(machine.name, f"{volume.resource}/{volume.number} secondary")
            self.tell(volume.resource)

    def op_drbd_primary(self, machine, request):
        while True:
            with self.lock:
                volume = self.volume(machine, request)
                count = self.pairs[volume.resource]["count"]
                connected = self.is_connected(volume.resource)
                if volume.primary:
                    return
                if connected and self.peer(machine, volume.resource).is_primary(volume.resource):
                    raise Refused(errno.EBUSY, f"drbd{volume.minor}: the peer is primary")
                if volume.disk not in (("UpToDate",) if connected else ("UpToDate", "Consistent")):
                    raise Refused(errno.ENODATA, f"drbd{volume.minor}: no copy is up to date")
                if connected or volume.peer_outdated:
                    self.promote(volume, connected)
                    return
            status = self.ask_handler(machine.name, volume.resource)
            with self.lock:
                self.note(machine.name, f"{volume.resource}: handler before promotion says {status}")
                if self.pairs[volume.resource]["count"] != count or machine.volumes.get(volume.minor) is not volume:
                    continue
                if status != HANDLER_YES:
                    raise Refused(errno.EPERM, f"drbd{volume.minor}: the cluster has not agreed that the peer's copy is outdated")
                volume.peer_outdated = True

    def promote(self, volume, connected):
        volume.primary = True
        volume.disk = "UpToDate"
        self.note(volume.machine.name, f"{volume.resource}/{volume.number} primary")
        for other in self.machines.values():
            if other is volume.machine or other.name not in self.pairs[volume.resource]["nodes"]:
                continue
            if other.on and other.is_primary(volume.resource):
                self.violation(f"{volume.resource} is primary on {volume.machine.name} and on {other.name}")
            meta = other.load("drbd", str(volume.minor))
            if meta and not is_prefix(meta["history"], volume.history):
                self.violation(f"{volume.resource}/{volume.number}: {volume.machine.name} was promoted with {volume.history}, "
                               f"{other.name} has {meta['history']}")
        if not connected:
            self.new_generation(volume)
        volume.save()
        self.tell(volume.resource)

    def op_drbd_disconnect(self, machine, request):
        for resource, pair in self.pairs.items():
            if pair["port"] == request["port"] and machine.name in pair["nodes"]:
                machine.standalone[resource] = True
                self.disconnect(resource)

    def op_drbd_resume_io(self, machine, request):
        volume = self.volume(machine, request)
        if volume.resource in machine.suspended:
            machine.suspended.discard(volume.resource)
            for v in machine.resource_volumes(volume.resource):
                v.peer_outdated = True
                self.new_generation(v)
            self.tell(volume.resource)

    def op_drbd_declare_equal(self, machine, request):
        volume = self.volume(machine, request)
        peer = self.peer_volume(volume)
        if not self.is_connected(volume.resource) or not peer or volume.history or peer.history:
            raise Refused(errno.EAGAIN, f"drbd{volume.minor}: it is not brand-new")
        self.new_generation(volume)
        peer.history = list(volume.history)
        for v in (volume, peer):
            v.disk = "UpToDate"
            v.save()
        self.tell(volume.resource, only=machine)  # 8.4 says nothing of it on the other side (receive_uuids)

    def lines(self, machine, resource, verb):
        pair, volumes = self.pairs[resource], machine.resource_volumes(resource)
        peer = self.peer(machine, resource)
        connected = pair["connected"]
        connection = "Connected" if connected else "StandAlone" if machine.standalone.get(resource, True) else "Connecting"
        role = "Primary" if machine.is_primary(resource) else "Secondary"
        peer_role = ("Primary" if peer.is_primary(resource) else "Secondary") if connected else "Unknown"
        yield (f"{verb} resource name:{resource} role:{role} suspended:{'fencing' if resource in machine.suspended else 'no'} "
               "write-ordering:flush")
        yield (f"{verb} connection name:{resource} peer-node-id:0 conn-name:peer connection:{connection} role:{peer_role} congested:no")
        for v in volumes:
            size = 1 << 40
            yield f"{verb} device name:{resource} volume:{v.number} minor:{v.minor} disk:{v.disk} size:{size} read:0"
        for v in volumes:
            other = self.peer_volume(v) if connected else None
            peer_disk = other.disk if other else "Outdated" if v.peer_outdated else "DUnknown"
            replication = (v.sync or "Established") if connected else "Off"
            behind = size if v.disk == "Inconsistent" and not v.history else 4 if v.sync else 0
            yield (f"{verb} peer-device name:{resource} peer-node-id:0 conn-name:peer volume:{v.number} replication:{replication} "
                   f"peer-disk:{peer_disk} resync-suspended:no received:0 sent:0 out-of-sync:{behind} pending:0 unacked:0")

    def all_lines(self, machine, resource=None):
        return [line for r in sorted({v.resource for v in machine.volumes.values()}) if resource in (None, r)
                for line in self.lines(machine, r, "exists")] + ["exists -"]

    def op_drbd_snapshot(self, machine, request):
        return {"lines": self.all_lines(machine, request["resource"])}

    def serve_events(self, machine, wfile):
        listener = queue.Queue()
        with self.lock:
            for line in self.all_lines(machine):
                listener.put(line)
            machine.listeners.append(listener)
        try:
            while (line := listener.get()) is not None:
                wfile.write(line.encode() + b"\n")
        finally:
            with self.lock:
                machine.listeners.remove(listener)

    def tell(self, resource, only=None):
        for machine in [only] if only else [self.machines[n] for n in self.pairs[resource]["nodes"]]:
            if machine.on and machine.resource_volumes(resource):
                for listener in machine.listeners:
                    for line in self.lines(machine, resource, "change"):
                        listener.put(line)

    # --- what happens by itself ---------------------------------------------------------------------------------------------

    def tick_forever(self):
        while not self.closing.wait(TICK_S):
            with self.lock:
                for resource in list(self.pairs):
                    self.tick(resource, time.monotonic())
                for machine in self.machines.values():
                    self.check_majority(machine, time.monotonic())
            self.watch_dogs()

    def check_majority(self, machine, now):
        reached = sum(self.can_reach(machine.name, n) and self.can_reach(n, machine.name) for n in self.machines)
        if not machine.on or 2 * reached > len(self.machines) or not self.open_gates(machine.name):
            machine.alone_since = None
        elif machine.alone_since is None:
            machine.alone_since = now
        elif now - machine.alone_since > QUORUM_BOUND_S:
            self.violation(f"{machine.name} is without majority for {QUORUM_BOUND_S} s and has open gates")
            machine.alone_since = now

    def tick(self, resource, now):
        pair = self.pairs[resource]
        a, b = (self.machines[n] for n in pair["nodes"])
        up = all(m.on and m.resource_volumes(resource) and not m.standalone.get(resource, True) for m in (a, b))
        want = up and self.can_reach(a.name, b.name) and self.can_reach(b.name, a.name)
        if want == pair["connected"]:
            pair["since"] = None
        elif pair["since"] is None:
            pair["since"] = now
        elif now - pair["since"] >= (CONNECT_S if want else LOSS_S):
            if want:
                self.connect(resource, a, b)
            else:
                self.disconnect(resource)
            pair["since"] = None
        if pair["connected"]:
            for volume in a.resource_volumes(resource) + b.resource_volumes(resource):
                if volume.sync == "SyncTarget" and now >= volume.sync_until:
                    self.end_resync(volume)

    def connect(self, resource, a, b):
        pair = self.pairs[resource]
        couples = [(v, self.peer_volume(v)) for v in a.resource_volumes(resource) if self.peer_volume(v)]
        couples = [(x, y) for x, y in couples if "Diskless" not in (x.disk, y.disk)]
        for x, y in couples:
            if not is_prefix(x.history, y.history) and not is_prefix(y.history, x.history):
                self.violation(f"{resource}/{x.number}: split brain, {a.name} {x.history}, {b.name} {y.history}")
                a.standalone[resource] = b.standalone[resource] = True
                self.tell(resource)
                return
        if a.is_primary(resource) and b.is_primary(resource):
            a.standalone[resource] = b.standalone[resource] = True
            self.tell(resource)
            return
        pair["connected"] = True
        pair["count"] += 1
        self.note("-", f"{resource} connected")
        for x, y in couples:
            self.compare(x, y)
        for machine in (a, b):
            machine.suspended.discard(resource)
        self.tell(resource)

    def compare(self, x, y):
        for v in (x, y):
            v.peer_outdated = False
        if x.history == y.history:
            if x.history and "Inconsistent" not in (x.disk, y.disk):
                x.disk = y.disk = "UpToDate"
        else:
            source, target = (x, y) if len(x.history) > len(y.history) else (y, x)
            source.sync, target.sync, target.disk = "SyncSource", "SyncTarget", "Inconsistent"
            if not source.primary:
                source.disk = "UpToDate"
            target.sync_until = time.monotonic() + RESYNC_S
        x.save()
        y.save()

    def end_resync(self, target):
        source = self.peer_volume(target)
        target.sync = source.sync = None
        target.disk, target.history = "UpToDate", list(source.history)
        target.save()
        self.tell(target.resource)

    def disconnect(self, resource):
        pair = self.pairs[resource]
        if not pair["connected"]:
            self.tell(resource)
            return
        pair["connected"] = False
        pair["count"] += 1
        self.note("-", f"{resource} disconnected")
        for name in pair["nodes"]:
            machine = self.machines[name]
            for volume in machine.resource_volumes(resource):
                volume.sync = None
            if machine.on and machine.is_primary(resource):
                machine.suspended.add(resource)
                threading.Thread(target=self.ask_to_go_on, args=(machine, resource, pair["count"], machine.boots), daemon=True).start()
        self.tell(resource)

    def ask_to_go_on(self, machine, resource, count, boots):
        """A primary has lost its peer: I/O is frozen until the handler has said that the peer is out."""
        status = self.ask_handler(machine.name, resource)
        with self.lock:
            self.note(machine.name, f"{resource}: handler says {status}")
            if status != HANDLER_YES or self.pairs[resource]["count"] != count or machine.boots != boots or not machine.on:
                return
            for volume in machine.resource_volumes(resource):
                volume.peer_outdated = True
                self.new_generation(volume)
            machine.suspended.discard(resource)
            self.tell(resource)
