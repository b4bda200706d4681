"""What people read about trials, in Korean."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles": "이 서버에 맞게 모의 실험의 빠른 경로를 컴파일하고 있습니다. 설치 후 한 번, 1분쯤 걸립니다.",
}
