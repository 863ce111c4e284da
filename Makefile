# rc_domino: build, test, install. DESTDIR and PREFIX as usual.

PREFIX      ?= /usr
DESTDIR     ?=
CARGO       ?= cargo
TARGET       = x86_64-unknown-linux-gnu
BINARY       = target/$(TARGET)/release/rc_domino
BINDIR       = $(DESTDIR)$(PREFIX)/bin
MANDIR       = $(DESTDIR)$(PREFIX)/share/man
SYSCONFDIR   = $(DESTDIR)/etc
# Where the original lies, and units and site scripts look for it.
SCRIPTDIR    = $(DESTDIR)/opt/nashcom/startscript

.PHONY: build test bench lint advisories install uninstall clean

build:
	$(CARGO) build --release

test:
	$(CARGO) test

# Side by side in one run; the original beside ours where its path is given:
# make bench RC_DOMINO_ORIGINAL=/opt/nashcom/startscript/rc_domino_script
bench:
	RC_DOMINO_ORIGINAL="$(RC_DOMINO_ORIGINAL)" $(CARGO) bench

lint:
	ci/lint

# Needs the advisory database, which only the network has.
advisories:
	$(CARGO) deny check advisories

install: build
	install -D -m 755 $(BINARY) $(BINDIR)/rc_domino
	ln -sf rc_domino $(BINDIR)/domino
	install -d $(SCRIPTDIR)
	ln -sf $(PREFIX)/bin/rc_domino $(SCRIPTDIR)/rc_domino_script
	ln -sf $(PREFIX)/bin/rc_domino $(SCRIPTDIR)/rc_domino
	install -D -m 755 init.d/rc_domino $(SYSCONFDIR)/init.d/rc_domino
	install -D -m 644 man/rc_domino.8 $(MANDIR)/man8/rc_domino.8
	install -D -m 644 man/rc_domino_config.5 $(MANDIR)/man5/rc_domino_config.5
	@# What a site has configured stays; the new samples lie beside it.
	for file in sysconfig/rc_domino_config systemd/system/domino.service; do \
	    if [ -e "$(SYSCONFDIR)/$$file" ]; then \
	        install -m 644 "etc/$$file" "$(SYSCONFDIR)/$$file.new"; \
	    else \
	        install -D -m 644 "etc/$$file" "$(SYSCONFDIR)/$$file"; \
	    fi; \
	done

uninstall:
	rm -f $(BINDIR)/rc_domino $(BINDIR)/domino
	rm -f $(SCRIPTDIR)/rc_domino_script $(SCRIPTDIR)/rc_domino
	rm -f $(SYSCONFDIR)/init.d/rc_domino
	rm -f $(MANDIR)/man8/rc_domino.8 $(MANDIR)/man5/rc_domino_config.5

clean:
	$(CARGO) clean
