FROM python:3.13-slim
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PULSE_HOME=/data
RUN mkdir -p /data/storage && chown -R nobody /data
COPY requirements.txt pyproject.toml README.md pulse.py ./
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt
COPY bot bot
COPY web web
COPY services services
COPY db db
USER nobody
ENTRYPOINT ["python", "-m", "pulse"]
