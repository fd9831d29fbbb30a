PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICK := runs/out/quickstart
NAS := $(BIN)/senet-nas

.PHONY: quickstart test test-slow lint clean

# A search from start to end on the carried sample; run again, it goes on where it stopped.
quickstart: $(VENV)/quickstart.installed
	$(NAS) search runs/quickstart.toml --out $(QUICK) --resume
	$(NAS) retrain $(QUICK) --recipe cifar_quick --out $(QUICK)/retrain
	$(NAS) export $(QUICK)/retrain/checkpoint.safetensors --format onnx
	@echo
	@echo "the run: $(QUICK) (trials.jsonl, front.json)"
	@echo "the retrained network: $(QUICK)/retrain (checkpoint.safetensors, checkpoint.onnx)"

test: lint
	$(BIN)/pytest -n 2

test-slow: $(VENV)/dev.installed
	$(BIN)/pytest -m slow

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) runs/out

# Stamps are written last, so that what was cut short is done again.
$(VENV)/created:
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/quickstart.installed: pyproject.toml | $(VENV)/created
	@echo "installing into $(VENV): torch is several GB, so this takes minutes"
	$(BIN)/python -m pip install --quiet --editable '.[export]'
	touch $@

$(VENV)/dev.installed: pyproject.toml | $(VENV)/created
	@echo "installing into $(VENV): torch is several GB, so this takes minutes"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/quickstart.installed
