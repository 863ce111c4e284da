# rc_domino: build, test, install. DESTDIR and PREFIX as usual.

PREFIX      ?= /usr
DESTDIR     ?=
CARGO       ?= cargo
TARGET       = x86_64-unknown-linux-gnu
TARGETDIR    = $(or $(CARGO_TARGET_DIR),target)
BINARY       = $(TARGETDIR)/$(TARGET)/release/rc_domino
BINDIR       = $(DESTDIR)$(PREFIX)/bin
MANDIR       = $(DESTDIR)$(PREFIX)/share/man
SYSCONFDIR   = $(DESTDIR)/etc
# Where the original lies, and units and site scripts look for it.
SCRIPTDIR    = $(DESTDIR)/opt/nashcom/startscript
# Where clusters look for resource agents, whatever PREFIX is.
AGENTDIR     = $(DESTDIR)/usr/lib/ocf/resource.d/nashcom

# The init script's name as one of domino.service, whatever PREFIX is. It is a
# name of the site's unit where that says so in its [Install].
ALIAS        = $(DESTDIR)/usr/lib/systemd/system/rc_domino.service

# Instances of the templates (@) are for partitions.
UNITS        = systemd/system/domino.service systemd/system/domino@.service \
               systemd/system/domino-notify.service systemd/system/domino-notify@.service

.PHONY: build test system-test cluster-test sysv-test vm-test bench cycles lint advisories install uninstall clean

build:
	$(CARGO) build --release

test:
	$(CARGO) test

# The VMware adapter under VMware's own code, the backup plug-in of Debian's
# open-vm-tools, in a container; as root. 77 where it cannot run.
.PHONY: system-test-vmware
system-test-vmware:
	tests/system/vmware.sh

# On real systemd, in containers that systemd-nspawn boots; as root. CASES names
# some of tests/system/cases.
system-test:
	tests/system/run $(CASES)

# The resource agent under a real Pacemaker, two nodes; the init script under
# insserv and its like. As root; they say so and end with 77 where they cannot.
cluster-test:
	tests/system/cluster.sh

sysv-test:
	tests/system/sysv.sh

# The Ansible role against three containers with systemd; as root, 77 where it
# cannot run.
.PHONY: ansible-test
ansible-test:
	tests/system/ansible.sh

# Snapshots of a real virtual machine; 77 where it cannot run. Its first run
# builds the guest. CASES="thaw keeper": only cases with these words.
vm-test:
	tests/system/vm/run $(CASES)

# Side by side in one run; the original beside ours where its path is given:
# make bench RC_DOMINO_ORIGINAL=/opt/nashcom/startscript/rc_domino_script
bench:
	RC_DOMINO_ORIGINAL="$(RC_DOMINO_ORIGINAL)" $(CARGO) bench --bench '*' --no-fail-fast

# Freeze and thaw a thousand times, with a random fault in each: an hour or so.
cycles:
	RC_DOMINO_CYCLES=1000 $(CARGO) test --test integration snapshot_cycles

lint:
	ci/lint

# Needs the advisory database, which only the network has.
advisories:
	ci/advisories

install: build
	@# The scripts that this replaces may have been changed here: keep them.
	for file in $(SCRIPTDIR)/rc_domino_script $(SCRIPTDIR)/rc_domino \
	    $(SYSCONFDIR)/init.d/rc_domino $(BINDIR)/domino $(BINDIR)/rc_domino; do \
	    kept="$(SCRIPTDIR)/replaced/$$(basename "$$(dirname "$$file")")-$$(basename "$$file")"; \
	    if [ -f "$$file" ] && [ ! -L "$$file" ] && [ ! -e "$$kept" ] && \
	        head -n 1 "$$file" | grep -aq '^#!.*bash'; then \
	        install -d "$(SCRIPTDIR)/replaced" && cp -p "$$file" "$$kept" && echo "kept: $$kept" || exit 1; \
	    fi; \
	done
	install -D -m 755 $(BINARY) $(BINDIR)/rc_domino
	ln -sf rc_domino $(BINDIR)/domino
	install -d $(SCRIPTDIR)
	ln -sf $(PREFIX)/bin/rc_domino $(SCRIPTDIR)/rc_domino_script
	ln -sf $(PREFIX)/bin/rc_domino $(SCRIPTDIR)/rc_domino
	install -d $(AGENTDIR)
	ln -sf $(PREFIX)/bin/rc_domino $(AGENTDIR)/domino
	install -D -m 755 init.d/rc_domino $(SYSCONFDIR)/init.d/rc_domino
	install -D -m 644 man/rc_domino.8 $(MANDIR)/man8/rc_domino.8
	install -D -m 644 man/rc_domino_config.5 $(MANDIR)/man5/rc_domino_config.5
	install -D -m 644 man/rc_domino-snapshot.7 $(MANDIR)/man7/rc_domino-snapshot.7
	@# What a site has configured stays; the new samples lie beside it.
	for file in sysconfig/rc_domino_config $(UNITS); do \
	    if cmp -s "etc/$$file" "$(SYSCONFDIR)/$$file"; then \
	        :; \
	    elif [ -e "$(SYSCONFDIR)/$$file" ]; then \
	        install -m 644 "etc/$$file" "$(SYSCONFDIR)/$$file.new"; \
	    else \
	        install -D -m 644 "etc/$$file" "$(SYSCONFDIR)/$$file"; \
	    fi; \
	done
	@# Not where the server has another unit, nor where init's own links start it.
	rm -f $(ALIAS)
	if ! ls $(SYSCONFDIR)/rc[2345].d/S[0-9][0-9]rc_domino >/dev/null 2>&1 && \
	    ! sed -n 's/^ *DOMINO_SYSTEMD_NAME=//p' $(SYSCONFDIR)/sysconfig/rc_domino_config \
	        $(SYSCONFDIR)/sysconfig/rc_domino_config_notes 2>/dev/null | grep -qv '^"*domino\(\.service\)*"*$$'; then \
	    install -d $$(dirname $(ALIAS)) && ln -s /etc/systemd/system/domino.service $(ALIAS); \
	fi

# Leaves the configuration and the units, which are the site's, and what the
# installation replaced, under replaced/ of the script directory.
uninstall:
	rm -f $(BINDIR)/rc_domino $(BINDIR)/domino
	rm -f $(SCRIPTDIR)/rc_domino_script $(SCRIPTDIR)/rc_domino
	rm -f $(AGENTDIR)/domino
	-rmdir --ignore-fail-on-non-empty $(AGENTDIR)
	rm -f $(SYSCONFDIR)/init.d/rc_domino $(ALIAS)
	rm -f $(MANDIR)/man8/rc_domino.8 $(MANDIR)/man5/rc_domino_config.5
	rm -f $(MANDIR)/man7/rc_domino-snapshot.7

clean:
	$(CARGO) clean
